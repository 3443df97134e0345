//! A text on its way to the SMSC: submit_sm (SMPP 3.4 §4.4.1).

use std::str::FromStr as _;

use rusmpp::Pdu;
use rusmpp::pdus::SubmitSm;
use rusmpp::tlvs::MessageSubmissionRequestTlvValue as Tlv;
use rusmpp::types::{EmptyOrFullCOctetString, OctetString};
use rusmpp::values::{
    Ansi41Specific, EsmClass, GsmFeatures, IntermediateNotification, MCDeliveryReceipt, MessageType, MessagingMode, RegisteredDelivery,
    SmeOriginatedAcknowledgement,
};

use crate::pdu::{Address, Part, Unwritable, text};

/// A text to send.
#[derive(Clone, PartialEq, Eq)]
pub struct Submission {
    /// Our number.
    pub source: Address,
    /// The citizen's.
    pub destination: Address,
    /// 0 for GSM 7-bit, 8 for UCS-2.
    pub data_coding: u8,
    /// At most 254 bytes, coded as `data_coding` says.
    pub message: Vec<u8>,
    /// What else it says; nothing by default.
    pub extras: Extras,
}

/// What a submit_sm may say beside its text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extras {
    /// The message begins with a user data header (esm_class, §5.2.12).
    pub has_header: bool,
    /// priority_flag (§5.2.14), 0 to 3.
    pub priority: u8,
    /// validity_period (§5.2.16): sixteen characters, or empty for the SMSC's own.
    pub validity: String,
    /// sar_msg_ref_num, sar_total_segments, sar_segment_seqnum (§5.3.2.22 to 24).
    pub sar: Option<Part>,
}

/// A submit_sm (§4.4.1): esm_class 0, or 0x40 with a header; registered_delivery 1.
///
/// # Errors
/// [`Unwritable`].
pub fn submit(submission: &Submission) -> Result<Pdu, Unwritable> {
    let message = OctetString::from_slice(&submission.message).map_err(|_| Unwritable("the message"))?;
    let extras = &submission.extras;
    let validity = EmptyOrFullCOctetString::from_str(&extras.validity).map_err(|_| Unwritable("the validity"))?;
    let mut pdu = SubmitSm::builder()
        .source_addr_ton(submission.source.ton.into())
        .source_addr_npi(submission.source.npi.into())
        .source_addr(text("the source number", &submission.source.number)?)
        .dest_addr_ton(submission.destination.ton.into())
        .dest_addr_npi(submission.destination.npi.into())
        .destination_addr(text("the destination number", &submission.destination.number)?)
        // By hand: rusmpp's default is 0x08, a delivery acknowledgement.
        .esm_class(EsmClass::new(
            MessagingMode::Default,
            MessageType::Default,
            Ansi41Specific::Other(0),
            match extras.has_header {
                true => GsmFeatures::UdhiIndicator,
                false => GsmFeatures::NotSelected,
            },
        ))
        .priority_flag(extras.priority.into())
        .validity_period(validity)
        .registered_delivery(receipt_wanted())
        .data_coding(submission.data_coding.into())
        .short_message(message)
        .build();
    if let Some(Part { reference, total, number }) = extras.sar {
        pdu.push_tlv(Tlv::SarMsgRefNum(reference));
        pdu.push_tlv(Tlv::SarTotalSegments(total));
        pdu.push_tlv(Tlv::SarSegmentSeqnum(number));
    }
    Ok(pdu.into())
}

/// registered_delivery 1 (§5.2.17): a receipt, whether it arrives or not.
pub(crate) fn receipt_wanted() -> RegisteredDelivery {
    // By hand: rusmpp's request_all asks the handset's owner to confirm as well.
    RegisteredDelivery::new(
        MCDeliveryReceipt::McDeliveryReceiptRequestedWhereFinalDeliveryOutcomeIsSuccessOrFailure,
        SmeOriginatedAcknowledgement::NoReceiptSmeAcknowledgementRequested,
        IntermediateNotification::NoIntermediaryNotificationRequested,
        0,
    )
}
