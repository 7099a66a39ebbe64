//! From what is to be done about some users to the store: passwords are hashed, records written.

use std::sync::Arc;

use anyhow::Context;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::entry::Secret;
use super::{Step, Summary};
use crate::users::{PasswordHash, UserRecord, UserStore, hash_password};

/// A step whose password has been hashed.
pub(super) struct Hashed {
    before: Option<UserRecord>,
    record: UserRecord,
    hash: Option<PasswordHash>,
}

/// Hashes the passwords of a batch on all cores.
pub(super) async fn hashed(batch: Vec<Step>) -> anyhow::Result<Vec<Hashed>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let turns = Arc::new(Semaphore::new(cores));
    let mut waiting = Vec::with_capacity(batch.len());
    for step in batch {
        let (before, record, secret) = match step {
            Step::Add(entry, secret) => (None, entry.record, Some(secret)),
            Step::Change { before, entry } => (Some(before), entry.record, entry.secret),
        };
        let turn = turns.clone().acquire_owned().await?;
        waiting.push(spawn_blocking(move || {
            let _turn = turn;
            let hash = match secret {
                None => None,
                Some(Secret::Hash(hash)) => Some(hash),
                Some(Secret::Password(password)) => Some(hash_password(&password)?),
            };
            anyhow::Ok(Hashed { before, record, hash })
        }));
    }
    let mut done = Vec::with_capacity(waiting.len());
    for task in waiting {
        done.push(task.await.context("hashing a password")??);
    }
    Ok(done)
}

impl Hashed {
    /// Writes it, and counts what was done.
    pub(super) async fn write(self, store: &dyn UserStore, summary: &mut Summary) -> anyhow::Result<()> {
        let Hashed { before, record, hash } = self;
        let Some(before) = before else {
            let hash = hash.context("a new user without a password")?;
            store.insert(&record, &hash).await?;
            summary.added += 1;
            return Ok(());
        };
        if before == record && hash.is_none() {
            summary.unchanged += 1;
            return Ok(());
        }
        if (UserRecord { disabled: before.disabled, ..record.clone() }) != before {
            store.update(&record).await?;
        }
        if let Some(hash) = hash {
            store.set_password(&record.login, &hash).await?;
        }
        if before.disabled != record.disabled {
            store.set_disabled(&record.login, record.disabled).await?;
        }
        summary.changed += 1;
        Ok(())
    }
}
