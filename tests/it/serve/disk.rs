//! A disk that is full, and has room again. The disk is a small one in memory, which only root can
//! mount: elsewhere these tests say that they were skipped, and do nothing.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rewardhub_tests::rows::{CERTAIN, campaign, purchase};
use rewardhub_tests::{Home, Sandbox, eventually};
use serde_json::Value;
use stores::testing::Cluster;

use super::world::{SOON, World, all_known_once};

/// A file system of its own, gone with its handle.
struct Disk(PathBuf);

impl Disk {
    /// Mounts one; `None` where this may not be done. As root on a build server it must be
    /// possible.
    fn mount(at: &Path, mib: u32) -> Option<Disk> {
        std::fs::create_dir_all(at).unwrap();
        let size = format!("size={mib}m,mode=0755");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output();
        if mounted.as_ref().is_ok_and(|mounted| mounted.status.success()) {
            return Some(Disk(at.to_owned()));
        }
        let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
        assert!(!(root && std::env::var_os("CI").is_some()), "no disk to fill: {mounted:?}");
        eprintln!("SKIPPED: a full disk needs root, to mount a small one: {mounted:?}");
        None
    }

    /// Takes all the room there is, until the answer is removed.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut filler = File::create(&path).unwrap();
        for size in [1 << 20, 4096, 1] {
            while filler.write_all(&vec![0; size]).is_ok() {}
        }
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: who still has a file open there ends later.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Sends until the disk is full, makes room, and checks that what was acknowledged is known and the
/// rest is taken.
fn fills_up(disk: &Disk, service: Arc<Sandbox>, home: &Home, make_room: impl FnOnce(&Path)) {
    service.ready(SOON);
    let feed = service.feed();
    let rows = |n: usize| -> Vec<Value> {
        (0..200).map(|row| purchase(&format!("t{n}-{row}"), &format!("cus_{}", row % 9))).collect()
    };
    let mut sent = rows(0);
    service.send(&feed, &sent);
    let filler = disk.fill();
    let refused = (1..2_000).find(|n| {
        let body = serde_json::to_vec(&rows(*n)).unwrap();
        let answer = service.post(&feed, "application/json", body);
        if answer.status == 200 {
            sent.extend(rows(*n));
            return false;
        }
        assert_eq!((answer.status, answer.retry_after.is_some()), (503, true), "{answer:?}");
        true
    });
    let refused = rows(refused.expect("the disk is full some time"));
    assert_eq!(service.get("/healthz").status, 200);
    make_room(&filler);
    eventually("what was refused to be taken", 2 * SOON, || {
        let answer = service.post(&feed, "application/json", serde_json::to_vec(&refused).unwrap());
        if answer.status != 200 {
            std::thread::sleep(Duration::from_millis(100));
        }
        (answer.status == 200).then_some(())
    });
    sent.extend(refused);
    service.ready(SOON);
    all_known_once(&service, &feed, &sent, home);
    service.trial_balance();
    Arc::into_inner(service).unwrap().stop_by("TERM").expect_code(0);
    home.replayed();
}

#[test]
fn a_full_disk_of_the_embedded_ledger_loses_nothing() {
    let home = Home::with(&[("REWARDHUB_TOKENS_JWKS", "sandbox"), ("REWARDHUB_ENROLMENT", "open")]);
    let Some(disk) = Disk::mount(&home.data(), 32) else { return };
    home.start_campaign("sure", &campaign("sure", CERTAIN, 250, 100_000_000));
    let service = Arc::new(home.listen(&[]));
    fills_up(&disk, service, &home, |filler| std::fs::remove_file(filler).unwrap());
}

#[test]
fn a_full_disk_of_the_database_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(&folder.path().join("disk"), 192) else { return };
    let small = ["max_wal_size=32MB", "min_wal_size=32MB"];
    let world = World::on(async || Arc::new(Cluster::start_in(&disk.0, &small).await.unwrap()));
    let (world, home) = world.with_campaign();
    let service = Arc::new(home.listen(&[]));
    fills_up(&disk, service, &home, |filler| {
        std::fs::remove_file(filler).unwrap();
        // Where it could not write its own log, PostgreSQL has given up, as after a crash.
        let answers = || world.runtime.block_on(world.cluster.execute("postgres", "SELECT 1")).is_ok();
        let back = (0..50).any(|_| {
            std::thread::sleep(Duration::from_millis(200));
            answers()
        });
        if !back {
            world.cluster.stop("immediate").unwrap();
            world.runtime.block_on(world.cluster.start_again()).unwrap();
        }
    });
    // The server before its disk.
    drop((home, world));
    drop(disk);
}
