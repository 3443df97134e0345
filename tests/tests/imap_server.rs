//! The in-memory IMAP server, spoken to in bytes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use voxea_tests::imap_server::ImapServer;

struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    async fn connect(server: &ImapServer) -> Self {
        let stream = TcpStream::connect(server.address()).await.unwrap();
        let mut client = Self {
            stream: BufReader::new(stream),
        };
        assert!(client.line().await.starts_with("* OK "));
        client
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        timeout(Duration::from_secs(5), self.stream.read_line(&mut line))
            .await
            .unwrap()
            .unwrap();
        line
    }

    /// Sends a command and gives everything up to its tagged answer.
    async fn say(&mut self, command: &str) -> String {
        let stream = self.stream.get_mut();
        stream.write_all(format!("t {command}\r\n").as_bytes()).await.unwrap();
        let mut said = String::new();
        while !said.lines().last().unwrap_or_default().starts_with("t ") {
            said += &self.line().await;
        }
        said
    }
}

async fn logged_in(server: &ImapServer) -> Client {
    let mut client = Client::connect(server).await;
    assert!(client.say("SELECT INBOX").await.starts_with("t NO"));
    assert!(client.say("LOGIN mairie wrong").await.starts_with("t NO [AUTHENTICATIONFAILED]"));
    assert!(client.say("LOGIN \"mairie\" \"secret\"").await.contains("t OK"));
    client
}

#[tokio::test]
async fn mails_are_searched_fetched_in_parts_and_marked() {
    let server = ImapServer::start("mairie", "secret").await.unwrap();
    for text in ["un", "deux", "trois"] {
        server.deliver(format!("Subject: {text}\r\n\r\n{text}\r\n").as_bytes()).unwrap();
    }
    let mut client = logged_in(&server).await;
    let selected = client.say("SELECT INBOX").await;
    assert!(
        selected.contains("* 3 EXISTS\r\n") && selected.contains("[UIDNEXT 4]"),
        "{selected}"
    );
    assert_eq!(client.say("UID SEARCH UID 2:*").await, "* SEARCH 2 3\r\nt OK searched\r\n");
    assert_eq!(client.say("UID SEARCH UID 9:*").await, "* SEARCH 3\r\nt OK searched\r\n");
    assert_eq!(
        client.say("UID FETCH 2 (UID RFC822.SIZE BODY.PEEK[]<9.4>)").await,
        "* 2 FETCH (UID 2 RFC822.SIZE 23 BODY[]<9> {4}\r\ndeux)\r\nt OK fetched\r\n"
    );
    assert!(client.say("UID FETCH 1 (UID BODYSTRUCTURE)").await.starts_with("t BAD"));
    assert!(
        client
            .say("UID STORE 1,3 +FLAGS (\\Seen)")
            .await
            .contains("* 3 FETCH (UID 3 FLAGS (\\Seen))")
    );
    timeout(Duration::from_secs(5), server.settled(3)).await.unwrap();
    let moved = client.say("UID MOVE 1:2 Traités").await;
    assert!(moved.contains("* 2 EXPUNGE\r\n* 1 EXPUNGE\r\n"), "{moved}");
    assert_eq!(server.mails().len(), 1);
    assert_eq!(server.moved().len(), 2);
}

#[tokio::test]
async fn an_idling_client_is_told_and_a_literal_can_be_cut() {
    let server = ImapServer::start("mairie", "secret").await.unwrap();
    let mut client = logged_in(&server).await;
    client.say("SELECT INBOX").await;
    client.stream.get_mut().write_all(b"i IDLE\r\n").await.unwrap();
    assert_eq!(client.line().await, "+ idling\r\n");
    server.deliver(b"Subject: x\r\n\r\nBonjour\r\n").unwrap();
    assert_eq!(client.line().await, "* 1 EXISTS\r\n");
    client.stream.get_mut().write_all(b"DONE\r\n").await.unwrap();
    assert_eq!(client.line().await, "i OK idled\r\n");

    server.cut_next_literal(5);
    client.stream.get_mut().write_all(b"f UID FETCH 1 BODY.PEEK[]\r\n").await.unwrap();
    let mut rest = String::new();
    timeout(Duration::from_secs(5), client.stream.read_to_string(&mut rest))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(rest, "* 1 FETCH (BODY[] {23}\r\nSubje");
}
