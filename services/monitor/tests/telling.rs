//! Somebody is told of alarms, by webhook and by mail: each once, whatever becomes of the others, and over restarts.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod ledger;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use ledger::room::{Room, codes};
use ledger::{Ledger, forked, time};
use trialseal_monitor::Report;
use trialseal_verify::Verdict;

/// Answers as many posts with these statuses as there are; gives the requests as they came.
fn receive(listener: TcpListener, statuses: Vec<u16>) -> JoinHandle<Vec<String>> {
    thread::spawn(move || {
        let answer = |status: u16| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut request, mut length) = (String::new(), 0);
            while reader.read_line(&mut request).unwrap() > 2 {
                let line = request.lines().last().unwrap().to_lowercase();
                let told = line.strip_prefix("content-length: ").map(|told| told.parse().unwrap());
                length = told.unwrap_or(length);
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            write!(stream, "HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
            request + std::str::from_utf8(&body).unwrap()
        };
        statuses.into_iter().map(answer).collect()
    })
}

#[test]
fn an_alarm_is_posted_until_it_was_taken_and_then_no_more() {
    let (one, other) = forked(3);
    let mut room = Room::at(&one);
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    room.webhook = Some(format!("http://{}/alarms", listener.local_addr().unwrap()));
    let received = receive(listener, vec![503, 200]);
    for _ in 0..3 {
        assert_eq!(codes(&room.next(&other)), ["split"]);
    }
    let requests = received.join().unwrap();
    let id =
        |request: &String| request.lines().find(|line| line.starts_with("webhook-id: ")).unwrap().to_owned();
    assert_eq!(id(&requests[0]), id(&requests[1]));
    for request in &requests {
        assert!(
            request.starts_with("POST /alarms ") && request.contains("webhook-signature: v1,"),
            "{request}"
        );
        let body: serde_json::Value = serde_json::from_str(request.lines().last().unwrap()).unwrap();
        assert_eq!(
            (&body["type"], &body["data"]["code"]),
            (&"trialseal.monitor.alarm".into(), &"split".into())
        );
    }
}

/// Takes as many messages as `connections`, but for recipients whose name begins with `nobody`; gives them as they came.
fn take_mail(listener: TcpListener, connections: usize) -> JoinHandle<Vec<String>> {
    thread::spawn(move || (0..connections).filter_map(|_| converse(listener.accept().unwrap().0)).collect())
}

/// One message by SMTP (RFC 5321); `None` where it was refused.
fn converse(stream: TcpStream) -> Option<String> {
    let (mut reader, mut writer) = (BufReader::new(stream.try_clone().unwrap()), stream);
    let mut say = |line: &str| writer.write_all(format!("{line}\r\n").as_bytes()).unwrap();
    say("220 mail.example.org");
    let mut message = None;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 {
            return message;
        }
        match line.split([' ', ':', '\r']).next().unwrap() {
            "RCPT" if line.contains("<nobody") => say("550 there is nobody of that name"),
            "EHLO" | "MAIL" | "RCPT" => say("250 well"),
            "DATA" => {
                say("354 go on");
                let mut text = String::new();
                while !text.ends_with("\r\n.\r\n") {
                    reader.read_line(&mut text).unwrap();
                }
                message = Some(text);
                say("250 taken");
            }
            "QUIT" => {
                say("221 bye");
                return message;
            }
            other => panic!("a mail server is not told {other}"),
        }
    }
}

fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// How many notices wait, by webhook and by mail.
fn waiting(report: &Report) -> (u64, u64) {
    let of = |kind| report.waiting.get(kind).copied().unwrap_or(u64::MAX);
    (of("webhook"), of("mail"))
}

#[test]
fn each_channel_is_told_once_whatever_becomes_of_the_other() {
    let (one, other) = forked(3);
    let mut room = Room::at(&one);
    let (hook, hook_port) = listener();
    let (mail, mail_port) = listener();
    drop(mail);
    room.webhook = Some(format!("http://127.0.0.1:{hook_port}/alarms"));
    room.mail = vec![(mail_port, "alarms@example.org")];

    let posted = receive(hook, vec![200]);
    assert_eq!(waiting(&room.next(&other)), (0, 1));
    let metrics = fs::read_to_string(room.path("metrics.prom")).unwrap();
    assert!(metrics.contains("trialseal_monitor_notices_waiting{channel=\"mail\"} 1\n"), "{metrics}");
    assert!(metrics.contains("trialseal_monitor_notices_waiting{channel=\"webhook\"} 0\n"), "{metrics}");
    let posted = posted.join().unwrap().remove(0);
    let id = posted.lines().find_map(|line| line.strip_prefix("webhook-id: ")).unwrap().to_owned();

    // Nobody listens for the webhook any more, and nothing is posted to it.
    let mailed = take_mail(TcpListener::bind(("127.0.0.1", mail_port)).unwrap(), 1);
    assert_eq!(waiting(&room.next(&other)), (0, 0));
    let message = mailed.join().unwrap().remove(0);
    assert!(message.contains(&format!("\r\nMessage-ID: <{id}@example.org>\r\n")), "{message}");
    assert_eq!(waiting(&room.next(&other)), (0, 0));
    // Another address is told of the alarm that stays, and the first not again.
    let (mail, port) = listener();
    room.mail = vec![(port, "alarms@example.org"), (port, "office@example.org")];
    let mailed = take_mail(mail, 1);
    assert_eq!(waiting(&room.next(&other)), (0, 0));
    assert!(mailed.join().unwrap()[0].contains("To: office@example.org\r\n"));
}

#[test]
fn a_recipient_who_is_refused_keeps_nothing_from_the_others() {
    let (one, other) = forked(3);
    let mut room = Room::at(&one);
    let (mail, port) = listener();
    room.mail = vec![(port, "nobody@example.org"), (port, "alarms@example.org")];
    // Two in the first pass, and in the second the one that was refused.
    let mailed = take_mail(mail, 3);
    assert_eq!(room.next(&other).waiting["mail"], 1);
    assert_eq!(room.next(&other).waiting["mail"], 1);
    let messages = mailed.join().unwrap();
    assert_eq!(messages.len(), 1);
    assert!(messages[0].contains("To: alarms@example.org\r\n"), "{}", messages[0]);
}

#[test]
fn an_alarm_is_told_though_it_is_gone() {
    let mut ledger = Ledger::new(3);
    let mut room = Room::at(&ledger);
    let (mail, port) = listener();
    drop(mail);
    room.mail = vec![(port, "alarms@example.org")];
    room.clock.set(time(20 + 182).micros());
    let report = room.pass_now(&ledger, false).unwrap();
    assert_eq!((codes(&report), report.waiting["mail"]), (vec!["silent"], 1));

    ledger.step(1);
    let mailed = take_mail(TcpListener::bind(("127.0.0.1", port)).unwrap(), 1);
    let report = room.next(&ledger);
    assert_eq!((report.verdict, report.waiting["mail"]), (Verdict::Sound, 0));
    let message = mailed.join().unwrap().remove(0);
    assert!(message.contains("Subject: [trialseal] alarm silent: http://ledger\r\n"), "{message}");
}

#[test]
fn what_was_told_when_there_was_one_way_is_told() {
    let (one, other) = forked(3);
    let mut room = Room::at(&one);
    let report = room.next(&other);
    fs::write(room.path("evidence").join(&report.evidence[0]).join(".told"), "").unwrap();
    let (_mail, port) = listener();
    room.webhook = Some(format!("http://127.0.0.1:{port}/"));
    room.mail = vec![(port, "alarms@example.org")];
    assert_eq!(waiting(&room.next(&other)), (0, 0));
}
