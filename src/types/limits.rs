//! Every limit that a client or a peer could run into, in one place, each with its source.

use std::ops::RangeInclusive;
use std::time::Duration;

/// AWS RegionType: 1 to 32 characters.
pub const REGION_BYTES_MAX: usize = 32;
/// AWS KeyIdType: 1 to 2048 characters.
pub const KEY_REF_BYTES_MAX: usize = 2048;
/// AWS PlaintextType: 1 to 4096 bytes.
pub const PLAINTEXT_BYTES_MAX: usize = 4096;
/// AWS CiphertextType: 1 to 6144 bytes.
pub const CIPHERTEXT_BYTES_MAX: usize = 6144;
/// The longest canonical bytes of a material: PKCS#8 of RSA-4096 has some 2,380.
pub const MATERIAL_BYTES_MAX: usize = 2560;
/// Bytes of an HMAC_224 key; that which a region makes has 28 (rules page, section 7).
pub const HMAC_224_KEY_BYTES: RangeInclusive<usize> = 28..=64;
/// Bytes of an HMAC_256 key; that which a region makes has 32.
pub const HMAC_256_KEY_BYTES: RangeInclusive<usize> = 32..=64;
/// Bytes of an HMAC_384 key; that which a region makes has 48.
pub const HMAC_384_KEY_BYTES: RangeInclusive<usize> = 48..=128;
/// Bytes of an HMAC_512 key; that which a region makes has 64.
pub const HMAC_512_KEY_BYTES: RangeInclusive<usize> = 64..=128;
/// AWS DescriptionType: at most 8192 characters.
pub const DESCRIPTION_CHARS_MAX: usize = 8192;
/// AWS NumberOfBytesType: 1 to 1024.
pub const RANDOM_BYTES_MAX: usize = 1024;
/// Encryption context after serialisation (rules page, section 11, our decision).
pub const ENCRYPTION_CONTEXT_BYTES_MAX: usize = 8192;
/// AWS AliasNameType: 1 to 256 characters, all of them ASCII.
pub const ALIAS_NAME_BYTES_MAX: usize = 256;
/// Aliases of one key (AWS quota).
pub const ALIASES_PER_KEY_MAX: usize = 50;
/// Tags of one key (AWS quota).
pub const TAGS_PER_KEY_MAX: usize = 50;
/// AWS TagKeyType: 1 to 128 characters.
pub const TAG_KEY_CHARS_MAX: usize = 128;
/// AWS TagValueType: 0 to 256 characters.
pub const TAG_VALUE_CHARS_MAX: usize = 256;
/// KMS keys of one account in one region (AWS quota).
pub const KEYS_PER_ACCOUNT_MAX: u64 = 100_000;
/// AWS LimitType for ListKeys: 1 to 1000, default 100.
pub const LIST_KEYS_LIMIT_MAX: usize = 1000;
/// Aliases on one page of ListAliases: 1 to 100, default 50.
pub const LIST_ALIASES_LIMIT_MAX: usize = 100;
/// Tags on one page of ListResourceTags: 1 to 50, default 50.
pub const LIST_RESOURCE_TAGS_LIMIT_MAX: usize = 50;
/// AWS MarkerType: 1 to 1024 characters.
pub const MARKER_CHARS_MAX: usize = 1024;
/// Largest request body on the api listener. The largest member that the model allows is a policy of 128 KiB; base64 and
/// JSON escapes can double it.
pub const API_BODY_BYTES_MAX: usize = 1024 * 1024;
/// Largest `amz-sdk-invocation-id`; SDKs send a UUID of 36 characters.
pub const INVOCATION_ID_BYTES_MAX: usize = 128;
/// How long, in log time, an invocation id is remembered. SDKs give up within minutes.
pub const INVOCATION_MEMORY: Duration = Duration::from_secs(60 * 60);
/// How long, by its monotonic clock, a leader has known that a key is to be deleted, or material to expire, before it may propose
/// that (DESIGN.md section 4): the time in which people notice that the clocks are wrong.
pub const DESTRUCTION_DELAY: Duration = Duration::from_secs(60 * 60);
/// A day, as windows and periods count it.
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// AWS ListKeyRotations: at most 1000 a page.
pub const LIST_KEY_ROTATIONS_LIMIT_MAX: usize = 1000;
/// Days that a key waits for its deletion (rules page, section 4).
pub const DELETION_WINDOW_DAYS: RangeInclusive<u16> = 7..=30;
/// The window when a request names none.
pub const DELETION_WINDOW_DAYS_DEFAULT: u16 = 30;
/// Days from one automatic rotation to the next (rules page, section 8).
pub const ROTATION_PERIOD_DAYS: RangeInclusive<u16> = 90..=2560;
/// The period when a request names none.
pub const ROTATION_PERIOD_DAYS_DEFAULT: u16 = 365;
/// Rotations on demand in a key's life (rules page, section 8).
pub const ON_DEMAND_ROTATIONS_MAX: u8 = 25;
/// An automatic rotation that is due within this time stands in the way of one on demand (AWS: ConflictException).
pub const ROTATION_DUE_SOON: Duration = Duration::from_secs(20 * 60);
/// How long parameters for an import are good (AWS: 24 hours).
pub const IMPORT_TOKEN_VALIDITY: Duration = Duration::from_secs(24 * 60 * 60);
/// Imported material expires within this time of its import (AWS: ValidTo).
pub const IMPORT_VALIDITY_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// AWS KeyMaterialDescriptionType: at most 256 characters.
pub const IMPORT_DESCRIPTION_CHARS_MAX: usize = 256;
/// Grants that one step of a key's destruction takes away, so that a key with many does not hold up the log.
pub const GRANTS_PER_STEP_MAX: usize = 1000;
/// Keys whose last use one command records.
pub const USAGES_PER_COMMAND_MAX: usize = 1000;
/// Regions of one trust domain.
pub const REGIONS_MAX: usize = 32;
/// Materials of one key: 25 on-demand rotations, one automatic a quarter for thirty years, and room.
pub const MATERIALS_PER_KEY_MAX: usize = 512;
/// Largest record that [`crate::encoding`] reads or writes.
pub const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Largest body of one unary message between nodes or regions (snapshots stream in chunks below this).
pub const PEER_BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// How long the source of a ReplicateKey may take from asking the target until its own commit (rule 10).
pub const RESERVATION_WINDOW: Duration = Duration::from_secs(30);
/// Reservations that one peer region may hold open at once.
pub const RESERVATIONS_PER_PEER_MAX: usize = 10_000;
/// Endpoints that one peer record may list.
pub const PEER_ENDPOINTS_MAX: usize = 16;
/// Largest certificate revocation list, DER: some 14,000 certificates. In base64 it fits a request of the admin API, and as a
/// log entry it does not keep a slow follower from its heartbeats.
pub const CRL_BYTES_MAX: usize = 512 * 1024;
/// CAs whose revocation lists a region holds. A list is never let go, so this bounds the CAs of a region's whole life.
pub const CRLS_MAX: usize = 32;
/// Keys that one command admits after a restore: some 100 KiB of log and a few milliseconds of apply.
pub const ADMIT_KEYS_MAX: usize = 1000;
/// Accounts on one page of the admin API.
pub const ACCOUNTS_PAGE_MAX: usize = 1000;
/// Identities on one page of the admin API.
pub const IDENTITIES_PAGE_MAX: usize = 500;
/// What the identities of one page may have in JSON, but for one that is larger by itself: some hundred thousand bytes.
pub const IDENTITIES_PAGE_BYTES_MAX: usize = 1024 * 1024;
/// Denials on one page of the admin API: each has two texts of at most 1,024 bytes.
pub const DENIALS_PAGE_MAX: usize = 500;
/// What the changes of one command may have in JSON, but for one that is larger by itself: they fit a request of the admin API,
/// and as a log entry they do not keep a slow follower from its heartbeats.
pub const IDENTITY_CHANGES_BYTES_MAX: usize = 512 * 1024;
/// Largest key policy, UTF-8 (AWS quota).
pub const KEY_POLICY_BYTES_MAX: usize = 32 * 1024;
/// Grants of one key (AWS quota).
pub const GRANTS_PER_KEY_MAX: u64 = 50_000;
/// Pairs in a grant's constraint (rules page, section 9).
pub const GRANT_CONSTRAINT_PAIRS_MAX: usize = 8;
/// Characters of a value in a grant's constraint (rules page, section 9).
pub const GRANT_CONSTRAINT_VALUE_CHARS_MAX: usize = 384;
/// AWS GrantNameType: 1 to 256 characters.
pub const GRANT_NAME_CHARS_MAX: usize = 256;
/// AWS GrantTokenList: at most 10.
pub const GRANT_TOKENS_MAX: usize = 10;
/// AWS GrantTokenType: 1 to 8192 characters.
pub const GRANT_TOKEN_CHARS_MAX: usize = 8192;
/// AWS PrincipalIdType: 1 to 256 characters.
pub const PRINCIPAL_ID_CHARS_MAX: usize = 256;
/// AWS LimitType of ListKeyPolicies: 1 to 1000, default 100.
pub const LIST_KEY_POLICIES_LIMIT_MAX: usize = 1000;
/// AWS LimitType of ListGrants and ListRetirableGrants: 1 to 100, default 50.
pub const LIST_GRANTS_LIMIT_MAX: usize = 100;
/// Managed policies attached to one user, group or role (AWS quota, its highest).
pub const ATTACHED_POLICIES_MAX: usize = 20;
/// Inline policies of one user, group or role; all of them together have at most [`IDENTITY_POLICIES_BYTES_MAX`].
pub const INLINE_POLICIES_MAX: usize = 20;
/// Largest managed policy, and all inline policies of one identity together (AWS: 6,144 characters, and 10,240 for a role).
pub const IDENTITY_POLICIES_BYTES_MAX: usize = 10_240;
/// Groups that one user may be in (AWS quota).
pub const GROUPS_PER_USER_MAX: usize = 10;
/// Users, groups, roles and managed policies of one account (AWS: 5,000 users and 5,000 roles).
pub const IDENTITIES_PER_ACCOUNT_MAX: u64 = 20_000;
/// Changes of identities that one command carries.
pub const IDENTITY_CHANGES_MAX: usize = 500;
/// Steps that one decision may take in matching text with wildcards; past them it is a refusal. A document without thousands of
/// wildcards takes a few for each of its characters, so all that can apply to one request together stay below this.
pub const POLICY_STEPS_MAX: u64 = 4_000_000;
/// What one trace of a decision holds of statements, conditions and grants, in bytes, about; what goes beyond is counted. In JSON it
/// can be six times that, of which an operator's client takes three.
pub const POLICY_TRACE_BYTES_MAX: usize = 512 * 1024;
/// Accounts whose identities one region holds.
pub const ACCOUNTS_MAX: u64 = 10_000;
/// Principals that operators may have denied at once.
pub const DENIED_PRINCIPALS_MAX: u64 = 100_000;
/// Why a principal is denied, and by whom, UTF-8: each of them.
pub const DENIAL_TEXT_BYTES_MAX: usize = 1024;
/// Why an operator resets a key's policy, and which operator, UTF-8: each of them.
pub const OPERATOR_TEXT_BYTES_MAX: usize = 1024;
