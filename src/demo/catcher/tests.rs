//! The dialogue, spoken by hand.

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::*;

struct Client(BufReader<TcpStream>);

impl Client {
    async fn new(catcher: &Catcher) -> Client {
        let mut client = Client(BufReader::new(TcpStream::connect(catcher.local_addr()).await.unwrap()));
        assert_eq!(client.reply().await, "220");
        client
    }

    /// The code of the next reply; empty once the server has closed.
    async fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).await.unwrap();
            if line.as_bytes().get(3) != Some(&b'-') {
                return line.chars().take(3).collect();
            }
        }
    }

    async fn say(&mut self, line: &str) -> String {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        self.reply().await
    }

    async fn check(&mut self, dialogue: &[(&str, &str)]) {
        for (line, code) in dialogue {
            assert_eq!(self.say(line).await, *code, "{}", line.chars().take(80).collect::<String>());
        }
    }
}

async fn catcher() -> Catcher {
    Catcher::bind("127.0.0.1:0".parse().unwrap()).await.unwrap()
}

#[tokio::test]
async fn commands_have_an_order() {
    let catcher = catcher().await;
    let mut client = Client::new(&catcher).await;
    client
        .check(&[
            ("MAIL FROM:<a@b>", "503"),
            ("HELO me", "250"),
            ("EHLO me", "250"),
            ("RCPT TO:<c@d>", "503"),
            ("DATA", "503"),
            ("mail from:<a@b> size=100 body=8bitmime", "250"),
            ("MAIL FROM:<a@b>", "503"),
            ("RCPT TO:<>", "501"),
            ("RCPT c@d", "501"),
            ("RSET", "250"),
            ("MAIL FROM:<a@b> SIZE=99999999", "552"),
            ("STARTTLS", "502"),
            ("AUTH PLAIN AA==", "502"),
            ("VRFY x", "500"),
            ("", "500"),
            ("NOOP", "250"),
            ("MAIL FROM:<>", "250"),
            ("RCPT TO:<c@d>", "250"),
            ("RCPT TO:<e@f>", "250"),
            ("DATA", "354"),
            ("Subject: x\r\n\r\n..dot\r\n.", "250"),
            ("QUIT", "221"),
        ])
        .await;
    assert_eq!(client.reply().await, "", "closed after QUIT");
    let mail = catcher.caught().pop().unwrap();
    assert_eq!((mail.received_at_order, mail.sender.as_str()), (1, ""));
    assert_eq!(mail.recipients, ["c@d", "e@f"]);
    assert_eq!(mail.bytes, b"Subject: x\r\n\r\n.dot\r\n");
}

#[tokio::test]
async fn size_and_lines_are_bounded() {
    let catcher = catcher().await;
    let begin = [("EHLO me", "250"), ("MAIL FROM:<a@b>", "250"), ("RCPT TO:<c@d>", "250"), ("DATA", "354")];
    let mut client = Client::new(&catcher).await;
    client.check(&begin).await;
    let large = format!("{}\r\n", "x".repeat(98)).repeat(LARGEST_MESSAGE_BYTES / 100 + 1);
    client.check(&[(&format!("{large}."), "552"), ("NOOP", "250")]).await;

    client.check(&begin).await;
    client.check(&[(&format!("{}\r\n.", "y".repeat(998)), "250")]).await;
    assert_eq!(client.say(&"z".repeat(2000)).await, "500");
    assert_eq!(catcher.wait_for(1).await[0].bytes.len(), 1000);
}

#[tokio::test]
async fn connections_do_not_wait_for_one_another() {
    let catcher = catcher().await;
    let mut first = Client::new(&catcher).await;
    let mut second = Client::new(&catcher).await;
    for client in [&mut second, &mut first] {
        client.check(&[("EHLO me", "250"), ("MAIL FROM:<a@b>", "250"), ("RCPT TO:<c@d>", "250")]).await;
    }
    for client in [&mut first, &mut second] {
        client.check(&[("DATA", "354"), ("x\r\n.", "250")]).await;
    }
    let orders: Vec<u64> = catcher.wait_for(2).await.iter().map(|mail| mail.received_at_order).collect();
    assert_eq!(orders, [1, 2]);
}

#[tokio::test]
async fn one_recipient_can_be_refused() {
    let catcher = catcher().await;
    let refusal = (At::RecipientIs("bad@d".into()), Act::Reply("550 5.1.1 No".into()));
    catcher.set_script(Script { faults: vec![refusal], ..Script::default() });
    let mut client = Client::new(&catcher).await;
    client
        .check(&[
            ("EHLO me", "250"),
            ("MAIL FROM:<a@b>", "250"),
            ("RCPT TO:<bad@d>", "550"),
            ("RCPT TO:<good@d>", "250"),
            ("DATA", "354"),
            ("x\r\n.", "250"),
        ])
        .await;
    assert_eq!(catcher.wait_for(1).await[0].recipients, ["good@d"]);
}

#[tokio::test]
async fn both_ways_to_log_in_are_understood() {
    let catcher = catcher().await;
    catcher.set_script(Script { login: Some(("me".into(), "secret".into())), ..Script::default() });
    for dialogue in [
        &[("AUTH PLAIN AG1lAHNlY3JldA==", "235")][..],
        &[("AUTH PLAIN", "334"), ("AG1lAHNlY3JldA==", "235")],
        &[("AUTH LOGIN", "334"), ("bWU=", "334"), ("c2VjcmV0", "235")],
    ] {
        let mut client = Client::new(&catcher).await;
        client.check(&[("EHLO me", "250"), ("MAIL FROM:<a@b>", "530"), ("AUTH PLAIN AG1lAHg=", "535")]).await;
        client.check(dialogue).await;
        client.check(&[("MAIL FROM:<a@b>", "250")]).await;
    }
}

#[tokio::test]
async fn only_loopback_is_listened_on() {
    let error = Catcher::bind("0.0.0.0:0".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.to_string(), "expected a loopback address for the mail catcher, found `0.0.0.0:0`");
}
