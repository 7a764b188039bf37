//! What an operator does to a group from outside: asks how far it has come, and sets it elsewhere while nobody is in it.

use std::collections::{BTreeMap, BTreeSet};

use broker::env::{Env, Mono};
use broker::ids::{NodeId, Offset, TopicPartition};

use super::config::GroupConfig;
use super::requests::{self, Commits};
use crate::client::outcome::{self, Failure, Judged, Kind};
use crate::client::{CallError, Client};

/// One group, from outside.
pub struct Operator<'a, E: Env> {
    client: &'a Client<E>,
    config: GroupConfig,
}

impl<'a, E: Env> Operator<'a, E> {
    /// Of the group of that name.
    pub fn new(client: &'a Client<E>, group: String) -> Self {
        Self { client, config: GroupConfig::new(group) }
    }

    /// The committed offsets, -1 where there is none; one attempt, until `deadline` at most.
    pub async fn committed(
        &self,
        partitions: &BTreeSet<TopicPartition>,
        deadline: Mono,
    ) -> Result<BTreeMap<TopicPartition, Offset>, CallError> {
        let node = self.coordinator(deadline).await?;
        let answer = self.client.call(node, &requests::fetch(&self.config, partitions), deadline).await;
        let answer = answer.map_err(|failure| outcome::judge_failure(Kind::Read, failure))?;
        let found = requests::fetched(&answer, partitions).map_err(|code| judge_or_garbled(Kind::Read, code))?;
        Ok(requests::offsets(&found))
    }

    /// Commits as nobody, which a coordinator lets be only while the group has no members (UNKNOWN_MEMBER_ID); one attempt.
    pub async fn set(&self, offsets: &BTreeMap<TopicPartition, Offset>, deadline: Mono) -> Result<(), CallError> {
        let node = self.coordinator(deadline).await?;
        let places: Commits = offsets.iter().map(|(tp, offset)| (tp.clone(), (*offset, -1))).collect();
        let answer = self.client.call(node, &requests::commit(&self.config, "", -1, &places), deadline).await;
        let answer = answer.map_err(|failure| outcome::judge_failure(Kind::Write, failure))?;
        let codes = requests::commit_codes(&answer, &places);
        match codes.map(|codes| codes.into_iter().find(|code| *code != 0)) {
            Some(None) => Ok(()),
            refused => Err(judge_or_garbled(Kind::Write, refused.flatten()).into()),
        }
    }

    async fn coordinator(&self, deadline: Mono) -> Result<NodeId, CallError> {
        let found = self.client.call_any(&requests::find(&self.config), deadline).await;
        // It changes nothing.
        let found = found.map_err(|failure| outcome::judge_failure(Kind::Read, failure))?;
        if found.error_code != 0 {
            return Err(outcome::judge(Kind::Read, found.error_code).into());
        }
        let node = NodeId(found.node_id.0);
        match self.client.until(deadline, || self.client.connection(node)).await {
            Some(_) => Ok(node),
            None => Err(outcome::judge_failure(Kind::Read, Failure::NotSent).into()),
        }
    }
}

/// An answer that leaves something out says nothing.
fn judge_or_garbled(kind: Kind, code: Option<i16>) -> Judged {
    code.map_or_else(|| outcome::judge_failure(kind, Failure::Garbled), |code| outcome::judge(kind, code))
}
