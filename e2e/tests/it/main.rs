//! Stories of users and operators, told to real processes. Every read must be answered 200 and
//! fresh unless the story says otherwise.

mod broadcasts;
mod crashes;
mod head;
mod imports;
mod lost_indexes;
mod lost_records;
mod lost_topics;
mod monitoring;
mod own_writes;
mod removed_builds;
mod replays;
mod secured_servers;
mod server_outages;
mod twice;
mod two_versions;
