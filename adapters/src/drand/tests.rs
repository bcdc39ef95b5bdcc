//! Against a server on loopback that serves recorded rounds, and whatever else servers say.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use ledger_core::draw::beacon::BeaconSpec;

use super::*;

const ROUND: u64 = 32_281_667;

fn recorded() -> serde_json::Value {
    let file = include_str!("../../../ledger-core/testdata/quicknet-rounds.json");
    let file: serde_json::Value = serde_json::from_str(file).unwrap();
    let rounds = file["rounds"].as_array().unwrap();
    rounds.iter().find(|round| round["round"] == ROUND).unwrap().clone()
}

/// Answers one request with these bytes; gives back its base and, in the end, what it was asked.
async fn server(answer: Vec<u8>) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4_096];
        let length = stream.read(&mut request).await.unwrap();
        // A client that has had enough closes.
        let _ = stream.write_all(&answer).await;
        String::from_utf8_lossy(&request[..length]).lines().next().unwrap_or_default().to_owned()
    });
    (base, asked)
}

fn http(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
        .into_bytes()
}

async fn ask(answer: Vec<u8>) -> Result<Option<BeaconSignature>, String> {
    let (base, _asked) = server(answer).await;
    DrandServer::new(&base).round(ROUND).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_round_is_asked_for_by_chain_and_number_and_verifies() {
    let (base, asked) = server(http("200 OK", &recorded().to_string())).await;
    let signature = DrandServer::new(&format!("{base}/")).round(ROUND).await.unwrap().unwrap();
    assert_eq!(asked.await.unwrap(), format!("GET /{QUICKNET_CHAIN}/public/{ROUND} HTTP/1.1"));
    let randomness = BeaconSpec::Quicknet { round: ROUND }.randomness(Some(&signature)).unwrap();
    assert_eq!(serde_json::json!(randomness), recorded()["randomness"]);
}

#[tokio::test]
async fn a_round_that_is_not_there_yet_is_none() {
    for status in ["404 Not Found", "425 Too Early"] {
        assert_eq!(ask(http(status, "{\"error\":\"not yet\"}")).await, Ok(None), "{status}");
    }
}

#[tokio::test]
async fn other_answers_are_no_rounds() {
    let mut other = recorded();
    other["round"] = (ROUND - 1).into();
    let mut short = recorded();
    short["signature"] = "b0f5".into();
    let moved = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n".to_vec();
    let cases = [
        (http("200 OK", &other.to_string()), "it answered with round 32281666"),
        (http("200 OK", &short.to_string()), "its answer is no round"),
        (http("200 OK", "<html>garbage"), "its answer is no round"),
        (http("200 OK", ""), "its answer is no round"),
        (http("500 Oops", &recorded().to_string()), "it answered 500"),
        (moved, "it answered 302"),
        (b"nonsense\r\n\r\n".to_vec(), "error sending request"),
    ];
    for (answer, says) in cases {
        let refused = ask(answer).await.unwrap_err();
        assert!(refused.contains(says), "{says}: {refused}");
    }
}

#[tokio::test]
async fn an_endless_body_is_not_read_to_its_end() {
    let body = " ".repeat(50 * 1024 * 1024);
    let chunked = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}", body.len());
    for answer in [http("200 OK", &body), chunked.into_bytes()] {
        assert!(ask(answer).await.unwrap_err().contains("too long"));
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_with_its_cause() {
    let refused = DrandServer::new("http://127.0.0.1:1").round(ROUND).await.unwrap_err();
    assert!(refused.to_string().contains("refused"), "{refused}");
}
