//! Global ids: `account:cus_0001`, `campaign:c1`, `reward:<entry id>`, and for transactions the source and the
//! id in base64url, since either may hold any printable character.

use async_graphql::{Context, Error, ID, Interface, Object};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ledger_core::ids::{AccountId, CampaignId, EntryId, Source, TransactionId};

use super::access;
use super::account::{self, RewardAccount};
use super::campaign::{self, Campaign};
use super::reward::{self, Reward};
use super::transaction::{self, Transaction};

/// Anything with an id.
#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID", desc = "Names it among all nodes."))]
pub(super) enum Node {
    /// An account.
    RewardAccount(RewardAccount),
    /// A transaction.
    Transaction(Transaction),
    /// A reward.
    Reward(Reward),
    /// A campaign.
    Campaign(Campaign),
}

/// Queries by id.
#[derive(Default)]
pub(super) struct NodeQuery;

#[Object]
impl NodeQuery {
    /// What has this id; null if nothing has, or if it is someone else's.
    async fn node(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Node>, Error> {
        let id = NodeId::parse(&id);
        if let Some(NodeId::Campaign(id)) = id {
            access::campaign_reader(ctx)?;
            return Ok(campaign::find(ctx, id).await?.map(Node::Campaign));
        }
        let caller = access::reader(ctx)?;
        Ok(match id {
            Some(NodeId::Account(id)) if caller.may_see(&id) => {
                account::find(ctx, id).await?.map(Node::RewardAccount)
            }
            Some(NodeId::Transaction(source, id)) => {
                let row = transaction::find(ctx, source, id).await?;
                row.map(Transaction::shared).map(Node::Transaction)
            }
            Some(NodeId::Reward(entry)) => reward::find(ctx, entry).await?.map(Node::Reward),
            Some(NodeId::Account(_) | NodeId::Campaign(_)) | None => None,
        })
    }
}

#[derive(Debug, PartialEq, Eq)]
enum NodeId {
    Account(AccountId),
    Transaction(Source, TransactionId),
    Reward(EntryId),
    Campaign(CampaignId),
}

impl NodeId {
    fn parse(id: &str) -> Option<NodeId> {
        let (kind, rest) = id.split_once(':')?;
        match kind {
            "account" => rest.parse().ok().map(NodeId::Account),
            "transaction" => {
                let (source, id) = rest.split_once('/')?;
                Some(NodeId::Transaction(decode(source)?.parse().ok()?, decode(id)?.parse().ok()?))
            }
            "reward" => EntryId::from_hex(rest).map(NodeId::Reward),
            "campaign" => rest.parse().ok().map(NodeId::Campaign),
            _ => None,
        }
    }
}

fn decode(part: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

pub(super) fn account_id(id: &AccountId) -> ID {
    format!("account:{id}").into()
}

pub(super) fn transaction_id(source: &Source, id: &TransactionId) -> ID {
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("transaction:{}/{}", encode(source.as_str()), encode(id.as_str())).into()
}

pub(super) fn reward_id(entry: &EntryId) -> ID {
    format!("reward:{entry}").into()
}

pub(super) fn campaign_id(id: &CampaignId) -> ID {
    format!("campaign:{id}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_leads_back_to_what_it_names() {
        let account: AccountId = "a:b/c".parse().unwrap();
        assert_eq!(NodeId::parse(&account_id(&account)), Some(NodeId::Account(account)));
        let (source, id): (Source, TransactionId) = ("s/1:x".parse().unwrap(), "t/\u{e9} 2".parse().unwrap());
        assert_eq!(NodeId::parse(&transaction_id(&source, &id)), Some(NodeId::Transaction(source, id)));
        let entry = EntryId([7; 32]);
        assert_eq!(NodeId::parse(&reward_id(&entry)), Some(NodeId::Reward(entry)));
        let campaign: CampaignId = "c:1".parse().unwrap();
        assert_eq!(NodeId::parse(&campaign_id(&campaign)), Some(NodeId::Campaign(campaign)));
    }

    #[test]
    fn what_is_no_id_names_nothing() {
        for id in [
            "",
            "account",
            "account:",
            "account: x",
            "moon:1",
            "reward:12",
            "transaction:YQ",
            "transaction:YQ/Y",
        ] {
            assert_eq!(NodeId::parse(id), None, "{id:?}");
        }
    }
}
