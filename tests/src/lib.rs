//! The peers of the tests, the demonstration and the benchmark. They know bytes and no crate of the product, so that
//! our codecs cannot agree with their own mistakes.

pub mod authority;
pub mod baresip;
pub mod by_hand;
pub mod ceiling;
pub mod controlled;
pub mod density;
pub mod dice;
pub mod dovecot;
pub mod imap_server;
pub mod kamailio;
pub mod kannel;
pub mod kill;
pub mod libsrtp;
pub mod load;
pub mod lossy;
pub mod page;
pub mod pcap;
pub mod peer;
pub mod postgres;
pub mod s3;
pub mod scratch;
pub mod sip;
pub mod sipp;
pub mod slow_disk;
pub mod small_disk;
pub mod smpp_link;
pub mod sms_bench;
pub mod smsc;
pub mod smtp_sink;
pub mod soak;
pub mod spool;
pub mod structure;
pub mod timing;
pub mod tshark;
pub mod voicemail;
