//! One file per operation: resolve, authorise, check, propose or compute, answer.

mod create_alias;
mod create_key;
mod decrypt;
mod delete_alias;
mod describe_key;
mod disable_key;
mod enable_key;
mod encrypt;
mod generate_data_key;
mod generate_data_key_without_plaintext;
mod generate_random;
mod list_aliases;
mod list_keys;
mod list_resource_tags;
mod re_encrypt;
mod replicate_key;
mod switch_key;
mod tag_resource;
mod untag_resource;
mod update_alias;
mod update_key_description;
