//! Packets and keys from anybody: what is not authentic is refused and changes nothing; what we seal can be opened, once.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxea_fuzz::bounded;
use voxea_sip::srtp::{Master, Receiver, Sender, Suite};

fuzz_target!(|data: &[u8]| {
    for suite in Suite::ALL {
        let master = Master::new(suite, [5; 30]);
        let (mut receiver, mut sender) = (Receiver::new(&master), Sender::new(&master));
        assert!(bounded(|| receiver.open(data)).is_err());
        assert!(bounded(|| receiver.open_report(data)).is_err());
        if let Ok(sealed) = sender.protect(data) {
            assert_eq!(receiver.open(&sealed).as_deref(), Ok(data));
            assert!(receiver.open(&sealed).is_err(), "twice");
        }
        if let Ok(sealed) = sender.protect_report(data) {
            assert_eq!(receiver.open_report(&sealed).as_deref(), Ok(data));
            assert!(receiver.open_report(&sealed).is_err(), "twice");
        }
    }
});
