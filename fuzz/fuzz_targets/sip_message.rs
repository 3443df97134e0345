//! A datagram from anybody: read, and answered when it is a request that cannot be treated.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use voxea_fuzz::bounded;
use voxea_sip::wire::build::Reply;
use voxea_sip::wire::{Message, multipart, parse};

fuzz_target!(|data: &[u8]| {
    let bytes = Bytes::copy_from_slice(data);
    match bounded(|| parse(&bytes)) {
        Ok(Message::Request(request)) => {
            assert!(request.body.len() <= data.len());
            bounded(|| multipart::session(&request));
            let reply = bounded(|| Reply::to(200, &request.headers, &request.via, "tag").into_bytes());
            assert!(matches!(parse(&reply), Ok(Message::Response(_))), "an answer that we cannot read ourselves");
        }
        Ok(Message::Response(response)) => assert!((100..700).contains(&response.status)),
        Err(refused) => {
            assert!(matches!(refused.status, 400 | 505 | 513));
            if let Some(known) = refused.answerable {
                bounded(|| Reply::to(refused.status, &known.headers, &known.via, "tag").into_bytes());
            }
        }
    }
});
