import type { Outcome } from "./outcomes.ts";

/** What happens during a batch, for whoever shows it. `detail` is text from a run: untrusted. */
export type BatchEvent =
  | { readonly type: "image.pulling"; readonly image: string; readonly progress: string }
  | { readonly type: "started"; readonly id: string; readonly attempt: number; readonly interruptions: number }
  | { readonly type: "retried"; readonly id: string; readonly attempt: number; readonly detail: string }
  | { readonly type: "finished"; readonly id: string; readonly outcome: Outcome; readonly detail: string }
  | { readonly type: "stopped"; readonly why: "first failure" | "engine gone" };
