//! Another offer inside a call: hold, and its end (RFC 3264 §8, RFC 3261 §14).

use anyhow::{Context as _, Result, ensure};
use tokio::time::timeout;

use super::{Call, T1};

impl Call {
    /// Offers the same sound again in another direction: `sendonly` or `inactive` to hold, `sendrecv` to end that. Returns
    /// when it was accepted.
    ///
    /// # Errors
    /// When nothing answers within 32 s, or it is refused.
    pub async fn renegotiate(&self, direction: &str) -> Result<()> {
        let number = self.next_cseq();
        let branch = format!("z9hG4bK-r{number}-{}", self.dialog.local.port());
        let sdp = super::offer(self.media.socket.local_addr()?, self.media.payload_type)
            .replace("sendrecv", direction)
            .replace("o=peer 1 1 ", &format!("o=peer 1 {number} "));
        let headers = ["Content-Type: application/sdp".to_owned()];
        let request = self.dialog.request("INVITE", number, &branch, &headers, &sdp);
        let mut answers = self.informed.clone();
        self.socket.send(request.as_bytes()).await?;
        let answer = answers.wait_for(|answer| answer.0 == number);
        let answer = timeout(64 * T1, answer).await.context("no answer to INVITE")?;
        let status = answer.context("the reader ended")?.1;
        ensure!((200..300).contains(&status), "the hold was refused: {status}");
        Ok(())
    }
}
