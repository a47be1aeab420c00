// Judges one KEDA resource, given as JSON on standard input, by the published schema of its kind.
import { ScaledObject, TriggerAuthentication } from "@kubernetes-models/keda/keda.sh/v1alpha1";

let given = "";
for await (const part of process.stdin) given += part;
const resource = JSON.parse(given);
const kinds = { ScaledObject, TriggerAuthentication };
new kinds[resource.kind](resource).validate();
