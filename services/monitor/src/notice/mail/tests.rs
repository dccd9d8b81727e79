use super::*;

fn server(url: &str) -> Result<MailServer, MailError> {
    MailServer::new(url, &Authorities::public(), None)
}

fn message(notice: &Notice) -> String {
    let mail = Mail::new(server("plain://localhost").unwrap(), "m@example.org", "a@example.org").unwrap();
    let now = Timestamp::from_micros(1_780_000_000_000_000);
    String::from_utf8(mail.message(notice, now).unwrap().formatted()).unwrap()
}

fn alarm() -> Notice {
    let text = str::to_owned;
    Notice {
        kind: Kind::Alarm,
        id: text("msg_0123"),
        ledger: text("https://ledger.example.org"),
        code: text("split"),
        record: text("log/checkpoint"),
        message: text("two checkpoints of 3 seals have different roots"),
        evidence: text("20260101T000000Z-split-012345678901"),
        folder: text("/srv/monitor/evidence/20260101T000000Z-split-012345678901"),
        time: Timestamp::from_micros(1_770_000_000_000_000),
    }
}

#[test]
fn a_message_says_what_is_wrong_where_and_what_to_do() {
    let message = message(&alarm());
    let (head, body) = message.split_once("\r\n\r\n").unwrap();
    for line in [
        "To: a@example.org",
        "Subject: [trialseal] alarm split: https://ledger.example.org",
        "Date: Thu, 28 May 2026 20:26:40 +0000",
        "Message-ID: <msg_0123@example.org>",
        "Auto-Submitted: auto-generated",
        "Content-Type: text/plain; charset=utf-8",
    ] {
        assert!(head.lines().any(|it| it == line), "no {line} in {head}");
    }
    for part in ["two checkpoints", "log/checkpoint", "/srv/monitor/evidence/2026", "docs/monitoring.md"] {
        assert!(body.contains(part), "no {part} in {body}");
    }
}

#[test]
fn foreign_text_adds_no_header_and_no_line() {
    let plain = message(&alarm());
    let evil = "x\r\nBcc: c@example.org\r\n\r\n.\r\nQUIT\r\n";
    for notice in [
        Notice { ledger: evil.into(), ..alarm() },
        Notice { code: evil.into(), ..alarm() },
        Notice { record: evil.into(), ..alarm() },
        Notice { message: evil.into(), folder: evil.into(), ..alarm() },
    ] {
        let message = message(&notice);
        let head = message.split_once("\r\n\r\n").unwrap().0;
        let names = |head: &str| {
            let lines = head.lines().filter(|line| !line.starts_with([' ', '\t']));
            lines.filter_map(|line| line.split_once(':')).map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(head), names(plain.split_once("\r\n\r\n").unwrap().0));
        assert!(!message.lines().any(|line| line.starts_with("Bcc") || line == "." || line == "QUIT"));
    }
}

#[test]
fn mail_is_encrypted_or_stays_on_this_machine() {
    for url in [
        "smtps://mail.example.org",
        "smtp://mail.example.org:2525/",
        "smtps://[2001:db8::1]:465",
        "plain://localhost",
        "plain://127.0.0.1:2525",
        "plain://[::1]",
    ] {
        assert!(server(url).is_ok(), "{url}");
    }
    for url in ["plain://mail.example.org", "plain://localhost.example.org", "plain://192.0.2.1:25"] {
        assert!(matches!(server(url), Err(MailError::Elsewhere)), "{url}");
    }
    for url in [
        "",
        "localhost",
        "localhost:25",
        "https://mail.example.org",
        "smtp://user:password@mail.example.org",
        "smtps://mail.example.org/x",
        "smtps://mail.example.org?tls=none",
        "smtps://mail.example.org:65536",
        "smtps://",
    ] {
        assert!(matches!(server(url), Err(MailError::Server)), "{url}");
    }
}

#[test]
fn what_is_no_address_is_refused() {
    let server = server("plain://localhost").unwrap();
    for address in
        ["", "alarms", "@example.org", "a@", "a b@example.org", "a@example.org\r\nX: y", "ä@example.org"]
    {
        let refused = Mail::new(server.clone(), "m@example.org", address);
        assert!(matches!(refused, Err(MailError::Address(_))), "{address}");
    }
}
