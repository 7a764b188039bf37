//! What breaks the network between clients and the broker.

pub(crate) mod cut_client;
pub(crate) mod one_way_cut;
pub(crate) mod reset_after_append;
