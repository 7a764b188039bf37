//! LeaveGroup: members go at once, and are not waited for.

use kafka_protocol::error::ResponseError;
use kafka_protocol::protocol::StrBytes;

use super::classic::{Cx, Group};

impl Group {
    /// Takes out one that leaves, by member id or by instance id alone (KIP-345).
    pub fn leave(
        &mut self,
        cx: &mut Cx<'_>,
        member: &StrBytes,
        instance: Option<&StrBytes>,
    ) -> Result<(), ResponseError> {
        let id = match instance {
            Some(instance) if member.is_empty() => {
                self.statics.get(instance).cloned().ok_or(ResponseError::UnknownMemberId)?
            }
            _ => member.clone(),
        };
        if instance.is_none() && self.given.remove(&id).is_some() {
            self.complete_if_all_joined(cx);
            return Ok(());
        }
        self.check_member(&id, instance)?;
        self.remove(cx, &id);
        Ok(())
    }
}
