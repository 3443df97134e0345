//! URIs, name-addrs and Vias, which the machines read before they know who wrote them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxea_fuzz::bounded;
use voxea_sip::wire::addr::NameAddr;
use voxea_sip::wire::list;
use voxea_sip::wire::uri::Uri;
use voxea_sip::wire::via::Via;

fuzz_target!(|text: &str| bounded(|| {
    if let Some(uri) = Uri::parse(text) {
        let again = Uri::parse(uri.as_str()).expect("a URI that was read can be read again");
        assert_eq!(uri.user(), again.user());
        if let Some(sip) = uri.sip() {
            let _ = (sip.ip(), sip.is_loose());
        }
    }
    if let Some(address) = NameAddr::parse(text) {
        let _ = address.tag();
    }
    if let Some(mut via) = Via::parse(text) {
        let source = ([127, 0, 0, 1], 5062).into();
        via.received(source);
        let _ = (via.branch(), via.sent_by(), via.respond_to(source));
    }
    let pieces: usize = list::split(text).map(str::len).sum();
    assert!(pieces <= text.len());
    let _ = list::params(text);
}));
