// A session of the AWS SDK for JavaScript, version 3: endpoint and credentials come from the environment.
import {
  CreateKeyCommand, DecryptCommand, DescribeKeyCommand, EncryptCommand, KMSClient, ReplicateKeyCommand, SignCommand, VerifyCommand,
} from "@aws-sdk/client-kms";

const [here, there] = process.argv.slice(2).map((region) => new KMSClient({ region }));
const send = (client, Command, input) => client.send(new Command(input));
const text = (bytes) => Buffer.from(bytes).toString();

const { KeyMetadata: key } = await send(here, CreateKeyCommand, { MultiRegion: true });
const EncryptionContext = { purpose: "javascript" };
const { CiphertextBlob } = await send(here, EncryptCommand, {
  KeyId: key.KeyId, Plaintext: Buffer.from("from javascript"), EncryptionContext,
});
const opened = text((await send(here, DecryptCommand, { CiphertextBlob, EncryptionContext })).Plaintext);

await send(here, ReplicateKeyCommand, { KeyId: key.KeyId, ReplicaRegion: process.argv[3] });
const deadline = Date.now() + 30_000;
for (;;) {
  const state = await send(there, DescribeKeyCommand, { KeyId: key.KeyId }).then(({ KeyMetadata }) => KeyMetadata.KeyState, (e) => e.name);
  if (state === "Enabled") break;
  if (Date.now() > deadline) throw new Error(`the replica is ${state}`);
  await new Promise((resolve) => setTimeout(resolve, 50));
}
const elsewhere = text((await send(there, DecryptCommand, { CiphertextBlob, EncryptionContext })).Plaintext);
const refused = await send(there, DecryptCommand, { CiphertextBlob }).then(() => "opened", (error) => error.name);

const { KeyMetadata: signer } = await send(here, CreateKeyCommand, { KeySpec: "ECC_NIST_P256", KeyUsage: "SIGN_VERIFY" });
const message = { KeyId: signer.KeyId, Message: Buffer.from("m"), SigningAlgorithm: "ECDSA_SHA_256" };
const { Signature } = await send(here, SignCommand, message);
const { SignatureValid: signed } = await send(here, VerifyCommand, { ...message, Signature });

console.log(JSON.stringify({ opened, elsewhere, refused, signed }));
