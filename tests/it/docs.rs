//! The documents: every link leads somewhere, every page is in the book, and what a reader is told
//! to type works.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};
use rewardhub_tests::{PATIENCE, Sandbox, eventually, process};
use serde_json::Value;

#[test]
fn every_link_leads_to_something_that_exists() {
    let wrong: Vec<String> = pages().iter().flat_map(|page| dead_links(page, &read(page))).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_dead_link_is_found() {
    let page = root().join("docs/start.md");
    let text = "# A page\n[a](gone.md) [b](#a-page) [c](#gone) [d](../README.md#gone) [e](../LICENSE)";
    let wrong = dead_links(&page, text);
    assert_eq!(wrong.len(), 3, "{wrong:#?}");
}

#[test]
fn every_page_is_in_the_summary_once() {
    let docs = root().join("docs");
    let listed: Vec<PathBuf> =
        links(&read(&docs.join("SUMMARY.md"))).into_iter().map(|link| docs.join(link)).collect();
    let once: BTreeSet<&PathBuf> = listed.iter().collect();
    assert_eq!(listed.len(), once.len(), "a page is listed twice");
    let pages = markdown_below(&docs);
    let missing: Vec<_> =
        pages.iter().filter(|page| !page.ends_with("SUMMARY.md") && !once.contains(page)).collect();
    assert!(missing.is_empty(), "not in docs/SUMMARY.md: {missing:#?}");
}

#[test]
fn the_first_pages_are_short() {
    for (page, lines_max) in [("README.md", 120), ("ARCHITECTURE.md", 300)] {
        let lines = read(&root().join(page)).lines().count();
        assert!(lines <= lines_max, "{page} has {lines} lines, at most {lines_max} are allowed");
    }
}

/// The blocks of README and `docs/start.md`, one after another, as a reader types them. A block
/// marked `build` is passed over, the one marked `service` goes on running; what stands below a
/// block is compared with what it prints.
#[test]
fn what_a_reader_is_told_to_type_works() {
    let mut blocks = blocks("README.md").into_iter().chain(blocks("docs/start.md"));
    let folder = tempfile::tempdir().unwrap();
    let path = lay_out(folder.path());
    let shell = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(folder.path());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("REWARDHUB_")) {
            command.env_remove(name);
        }
        command.env("PATH", &path).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    };

    let service = blocks.find(|block| block.is("service")).expect("README starts a service");
    let mut command = shell(&format!("exec {}", service.text));
    command.env("REWARDHUB_LISTEN", "127.0.0.1:0");
    let sandbox = Sandbox::serving(process::spawn(command), &folder.path().join("data"));
    eventually("the sandbox to say what the README tells", PATIENCE, || {
        service.differs(&sandbox.said()).is_none().then_some(())
    });

    for block in blocks {
        sandbox.settled(PATIENCE);
        // Each is a shell of its own, so that each has its own patience; variables go from one to
        // the next.
        let text = block.text.replace("http://127.0.0.1:8080", sandbox.url());
        let script = format!("set -eua\n[ ! -f .env ] || . ./.env\n{text}\nexport -p > .env");
        let ran = process::run(shell(&script), b"");
        assert_eq!(ran.code, 0, "{block:?} ended so: {ran:?}");
        if let Some(why) = block.differs(&ran.stdout) {
            panic!("{block:?} prints something else: {why}\n{}", ran.stdout);
        }
    }
    sandbox.stop();
}

#[test]
fn another_shape_is_found() {
    let prints = |kind: &str, told: &str, printed: &str| {
        let told = Some((kind.to_owned(), told.to_owned()));
        Block { info: vec![], text: String::new(), told }.differs(printed).is_none()
    };
    assert!(prints("json", r#"{"a":[{"b":1}]}"#, r#"{"a":[{"b":2},{"b":3}]}"#));
    assert!(!prints("json", r#"{"a":[{"b":1}]}"#, r#"{"a":[]}"#));
    assert!(!prints("json", r#"{"a":1}"#, r#"{"a":"1"}"#));
    assert!(!prints("json", r#"{"a":1}"#, r#"{"a":1,"b":1}"#));
    assert!(prints("text", "3 read in 0.2 s", "40 read in 1.25 s\n"));
    assert!(prints("text", "...\nb\n...", "a\nb\nc\n"));
    assert!(!prints("text", "a\nc", "a\nb\nc\n"));
    assert!(!prints("text", "a", "a\nb\n"));
}

// Pages and their links.

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn read(page: &Path) -> String {
    std::fs::read_to_string(page).unwrap_or_else(|error| panic!("{}: {error}", page.display()))
}

fn pages() -> Vec<PathBuf> {
    let others = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "infra/README.md", "migrations/README.md"];
    let mut pages: Vec<PathBuf> = others.iter().map(|page| root().join(page)).collect();
    pages.extend(markdown_below(&root().join("docs")));
    pages
}

fn is_markdown(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "md")
}

fn markdown_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path {
            path if path.is_dir() => markdown_below(&path),
            path if is_markdown(&path) => vec![path],
            _ => vec![],
        })
        .collect()
}

fn events(text: &str) -> Parser<'_> {
    Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH)
}

/// Those that stay in the repository.
fn links(text: &str) -> Vec<String> {
    let targets = events(text).filter_map(|event| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => Some(dest_url.to_string()),
        _ => None,
    });
    targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:")).collect()
}

fn dead_links(page: &Path, text: &str) -> Vec<String> {
    let is_dead = |link: &String| {
        let (path, anchor) = link.split_once('#').map_or((link.as_str(), None), |(p, a)| (p, Some(a)));
        let file = if path.is_empty() { page.to_owned() } else { page.parent().unwrap().join(path) };
        let is_inside = file.canonicalize().is_ok_and(|file| file.starts_with(root()));
        let has = |anchor: &str| {
            let target = if path.is_empty() { text.to_owned() } else { read(&file) };
            (path.is_empty() || is_markdown(&file)) && anchors(&target).contains(anchor)
        };
        !is_inside || anchor.is_some_and(|anchor| !has(anchor))
    };
    let name = page.strip_prefix(root()).unwrap_or(page).display();
    links(text).iter().filter(|link| is_dead(link)).map(|link| format!("{name}: {link}")).collect()
}

/// The names under which a page's headings can be linked to, as code hosts and mdBook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let (mut anchors, mut heading) = (BTreeSet::new(), None::<String>);
    for event in events(text) {
        match (event, &mut heading) {
            (Event::Start(Tag::Heading { .. }), _) => heading = Some(String::new()),
            (Event::Text(part) | Event::Code(part), Some(heading)) => heading.push_str(&part),
            (Event::End(TagEnd::Heading(_)), _) => {
                let heading = heading.take().unwrap_or_default().to_lowercase();
                let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
                anchors.insert(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
            }
            _ => {}
        }
    }
    anchors
}

// Blocks of shell, and what they print.

#[derive(Debug)]
struct Block {
    /// Such as `sh` and `build`.
    info: Vec<String>,
    text: String,
    /// `json` or `text`, and what the page says that it prints.
    told: Option<(String, String)>,
}

impl Block {
    fn is(&self, word: &str) -> bool {
        self.info.iter().any(|known| known == word)
    }

    /// What is printed otherwise than told, in its shape.
    fn differs(&self, printed: &str) -> Option<String> {
        let (kind, told) = self.told.as_ref()?;
        if kind == "json" {
            let told: Value = serde_json::from_str(told).expect("the page's JSON can be read");
            let Ok(printed) = serde_json::from_str(printed) else { return Some("is no JSON".into()) };
            return other_shape(&told, &printed, "");
        }
        let (told, printed): (Vec<String>, Vec<String>) =
            (told.lines().map(shape).collect(), printed.lines().map(shape).collect());
        (!is_told(&told, &printed)).then(|| format!("{told:#?}"))
    }
}

/// The blocks of a page that are typed, each with what the next block says that it prints. Blocks
/// marked `example` are not compared.
fn blocks(page: &str) -> Vec<Block> {
    let text = read(&root().join(page));
    let (mut blocks, mut open): (Vec<Block>, _) = (vec![], None::<(Vec<String>, String)>);
    for event in events(&text) {
        match (event, &mut open) {
            (Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))), _) => {
                open = Some((info.split(',').map(str::to_owned).collect(), String::new()));
            }
            (Event::Text(part), Some((_, text))) => text.push_str(&part),
            (Event::End(TagEnd::CodeBlock), _) => {
                let (info, text) = open.take().unwrap();
                let told_of = blocks.last_mut().filter(|block| block.told.is_none());
                if info[0] == "sh" {
                    blocks.push(Block { info, text, told: None });
                } else if info.iter().all(|word| word != "example") {
                    let block = told_of.unwrap_or_else(|| panic!("{page}: what prints {text}"));
                    block.told = Some((info[0].clone(), text));
                }
            }
            _ => {}
        }
    }
    blocks.retain(|block| !block.is("build"));
    blocks
}

/// A folder with the repository's files in it and `rewardhub` among the programs; answers their
/// path.
fn lay_out(folder: &Path) -> String {
    for name in ["api", "campaign.example.yaml", "tests"] {
        std::os::unix::fs::symlink(root().join(name), folder.join(name)).unwrap();
    }
    let programs = folder.join("programs");
    std::fs::create_dir(&programs).unwrap();
    std::os::unix::fs::symlink(process::command().get_program(), programs.join("rewardhub")).unwrap();
    format!("{}:{}", programs.display(), std::env::var("PATH").unwrap())
}

/// Where two values have other fields or kinds. All elements of a list look like the first one that
/// the page shows.
fn other_shape(told: &Value, printed: &Value, at: &str) -> Option<String> {
    match (told, printed) {
        (Value::Object(told), Value::Object(printed)) if told.keys().eq(printed.keys()) => {
            told.iter().find_map(|(name, told)| other_shape(told, &printed[name], &format!("{at}.{name}")))
        }
        (Value::Array(told), Value::Array(printed)) if told.is_empty() == printed.is_empty() => {
            printed.iter().find_map(|printed| other_shape(&told[0], printed, &format!("{at}[]")))
        }
        (Value::String(_), Value::String(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::Bool(_), Value::Bool(_))
        | (Value::Null, Value::Null) => None,
        _ => Some(format!("{at}: {printed} in place of {told}")),
    }
}

/// A line with `#` for each number.
fn shape(line: &str) -> String {
    let mut shape = String::new();
    for c in line.trim_end().chars() {
        match c {
            '0'..='9' | '.' | ',' if shape.ends_with('#') => {}
            '0'..='9' => shape.push('#'),
            _ => shape.push(c),
        }
    }
    shape
}

/// Whether lines are as told; `...` stands for any number of lines.
fn is_told(told: &[String], printed: &[String]) -> bool {
    match told.split_first() {
        None => printed.is_empty(),
        Some((line, rest)) if line.trim() == "..." => {
            (0..=printed.len()).any(|skipped| is_told(rest, &printed[skipped..]))
        }
        Some((line, rest)) => {
            printed.split_first().is_some_and(|(first, others)| first == line && is_told(rest, others))
        }
    }
}
