//! `rewardhub sandbox` in a process of its own, and a client beside it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::blocking::{Client, Response};
use rusqlite::OpenFlags;
use serde_json::{Value, json};

use crate::process::{self, Ran, Running};
use crate::{PATIENCE, eventually};

/// A sandbox that serves.
pub struct Sandbox {
    running: Running,
    url: String,
    data: PathBuf,
    client: Client,
}

/// What came back over HTTP.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The media type.
    pub content_type: String,
    /// `Retry-After`.
    pub retry_after: Option<String>,
    /// The body as JSON; a string where it is none.
    pub body: Value,
}

impl Answer {
    fn of(response: Response) -> reqwest::Result<Answer> {
        let status = response.status().as_u16();
        let header =
            |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let (content_type, retry_after) = (header("content-type").unwrap_or_default(), header("retry-after"));
        let body = response.text()?;
        let body = serde_json::from_str(&body).unwrap_or(Value::String(body));
        Ok(Answer { status, content_type, retry_after, body })
    }

    /// The answers to the rows of a request that was taken.
    pub fn rows(&self) -> &[Value] {
        assert_eq!(self.status, 200, "{self:?}");
        self.body["results"].as_array().expect("results is an array")
    }
}

/// Starts a sandbox on any free port and does not wait for it.
pub fn spawn(data: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Running {
    let mut command = process::command();
    command.args(["sandbox", "--listen", "127.0.0.1:0"]).arg("--data").arg(data).args(arguments);
    command.envs(environment.iter().copied());
    process::spawn(command)
}

impl Sandbox {
    /// One that generates nothing.
    pub fn start(data: &Path) -> Sandbox {
        Sandbox::start_with(data, &["--rate", "0"], &[])
    }

    /// One with these arguments and environment.
    pub fn start_with(data: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Sandbox {
        Sandbox::serving(spawn(data, arguments, environment), data)
    }

    /// Waits until a started one listens.
    pub fn serving(mut running: Running, data: &Path) -> Sandbox {
        let url = eventually("the sandbox to say where it listens", PATIENCE, || {
            let said = running.stdout.text();
            let told = ["RewardHub sandbox on ", "RewardHub on "]
                .iter()
                .find_map(|start| said.split_once(start).and_then(|(_, rest)| rest.split_once(", data")));
            if told.is_none()
                && let Some(status) = running.ended()
            {
                running.finish();
                panic!("the sandbox ended with {status}: {said} {}", running.stderr.text());
            }
            told.map(|(url, _)| url.to_owned())
        });
        // Our own proxies and time-outs, not those of whoever runs the tests.
        let client = Client::builder().no_proxy().timeout(PATIENCE).build().expect("an HTTP client");
        Sandbox { running, url, data: data.to_owned(), client }
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether it has ended by itself.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.running.ended()
    }

    /// What it has said so far, on both ways.
    pub fn said(&self) -> String {
        self.running.stdout.text() + &self.running.stderr.text()
    }

    /// A token of its own issuer, as the command line gives it.
    pub fn token(&self, arguments: &[&str]) -> String {
        let mut command = process::command();
        command.arg("token").arg("--data").arg(&self.data).args(arguments);
        process::run(command, b"").expect_code(0).stdout.trim().to_owned()
    }

    /// A feed that may write for every source.
    pub fn feed(&self) -> String {
        self.token(&["--scope", "transactions:write", "--source", "*", "--sub", "feed-1"])
    }

    /// A customer.
    pub fn customer(&self, account: &str) -> String {
        self.token(&["--scope", "rewards:read", "--sub", account])
    }

    /// An auditor.
    pub fn auditor(&self) -> String {
        self.token(&["--scope", "audit:read"])
    }

    /// Somebody who may do this.
    pub fn person(&self, name: &str, scope: &str) -> String {
        self.token(&["--scope", scope, "--sub", name])
    }

    /// Posts a body to `/v1/transactions`; errs where the process is gone.
    pub fn try_post(&self, token: &str, content_type: &str, body: Vec<u8>) -> reqwest::Result<Answer> {
        let mut request = self.client.post(format!("{}/v1/transactions", self.url)).body(body);
        if !content_type.is_empty() {
            request = request.header("content-type", content_type);
        }
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        request.send().and_then(Answer::of)
    }

    /// Posts a body to `/v1/transactions`. Nothing is sent for an empty token or content type.
    pub fn post(&self, token: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
        self.try_post(token, content_type, body.into()).expect("the sandbox answers")
    }

    /// Posts JSON to a path.
    pub fn post_to(&self, token: &str, path: &str, body: &Value) -> Answer {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(token).json(body);
        request.send().and_then(Answer::of).expect("the sandbox answers")
    }

    /// Sends rows as an array and returns their answers.
    pub fn send(&self, token: &str, rows: &[Value]) -> Vec<Value> {
        let body = serde_json::to_vec(rows).expect("values are JSON");
        self.post(token, "application/json", body).rows().to_vec()
    }

    /// A GraphQL answer, errors included.
    pub fn ask(&self, token: &str, query: &str, variables: Value) -> Value {
        let mut request = self.client.post(format!("{}/graphql", self.url));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        let mut body = json!({ "query": query });
        body["variables"] = variables;
        let response = request.json(&body).send();
        Answer::of(response.expect("the sandbox answers")).expect("the answer is read").body
    }

    /// The data of a GraphQL answer that must have no errors.
    pub fn graphql(&self, token: &str, query: &str, variables: Value) -> Value {
        let mut answer = self.ask(token, query, variables);
        assert!(answer.get("errors").is_none(), "{answer:#}");
        answer["data"].take()
    }

    /// Gets a path.
    pub fn get(&self, path: &str) -> Answer {
        let response = self.client.get(format!("{}{path}", self.url)).send();
        response.and_then(Answer::of).expect("the sandbox answers")
    }

    /// Gets a path with a token.
    pub fn get_as(&self, token: &str, path: &str) -> Answer {
        let response = self.client.get(format!("{}{path}", self.url)).bearer_auth(token).send();
        response.and_then(Answer::of).expect("the sandbox answers")
    }

    /// The books as of now.
    pub fn trial_balance(&self) -> Value {
        const QUERY: &str = "{ trialBalance { position difference { minor } accounts { account debits { minor } credits { minor } } } }";
        let books = self.graphql(&self.auditor(), QUERY, json!({}))["trialBalance"].take();
        assert_eq!(books["difference"]["minor"], "0", "{books:#}");
        books
    }

    /// Waits until nothing is left to do: every step and every read model has seen the whole log,
    /// so what was won is issued, told and paid.
    pub fn settle(&self, patience: Duration) {
        eventually("issue, notify, credit and the read models to have done all", patience, || {
            let head = self.number("log.db", "SELECT position FROM head");
            let done = "SELECT min(position) * (count(*) = 3) * ((SELECT count(*) FROM items WHERE state = 'waiting' AND step <> 'resume') = 0) \
                        FROM checkpoints WHERE step IN ('issue', 'notify', 'credit')";
            let idle = head.is_some() && head == self.number("steps.db", done);
            (idle && self.get("/readyz").body["checks"]["lag_events"] == 0).then_some(())
        });
    }

    /// Waits until `/readyz` is green.
    pub fn ready(&self, patience: Duration) {
        eventually(&format!("{} to be ready", self.url), patience, || {
            (self.get("/readyz").status == 200).then_some(())
        });
    }

    /// Waits until the read models have seen the whole log, of which there is some.
    pub fn settled(&self, patience: Duration) {
        eventually("the read models to have seen all", patience, || {
            let checks = self.get("/readyz").body["checks"].take();
            (checks["lag_events"] == 0).then_some(())
        });
    }

    /// Sends it a signal (`STOP`, `CONT`) and does not wait.
    pub fn signal(&self, signal: &str) {
        self.running.signal(signal);
    }

    fn number(&self, file: &str, sql: &str) -> Option<i64> {
        let path = self.data.join(file);
        let connection =
            rusqlite::Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
        connection.query_row(sql, [], |row| row.get(0)).ok()
    }

    /// Signals it (`INT`, `TERM`) and waits for its end.
    pub fn stop_by(mut self, signal: &str) -> Ran {
        self.running.signal(signal);
        self.end()
    }

    /// Waits for its end.
    pub fn end(&mut self) -> Ran {
        let code = self.running.wait();
        self.running.finish();
        Ran { code, stdout: self.running.stdout.text(), stderr: self.running.stderr.text() }
    }

    /// Ends it as an operator does; it must end well.
    pub fn stop(self) -> Ran {
        self.stop_by("INT").expect_code(0)
    }

    /// Ends it by SIGKILL. Requests under way fail.
    pub fn kill(&self) {
        self.running.signal("KILL");
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.running.id()
    }
}
