import { z } from 'zod'

/** Stands for files that a task left for a later one of its run; with the digest of exactly these files. */
export const artifactRef = z.object({
  id: z.string(),
  /** SHA-256, lower-case hex. */
  digest: z.string(),
  /** Of the files alone. */
  sizeBytes: z.int().min(0),
})
export type ArtifactRef = z.output<typeof artifactRef>

/** A folder in what an artifact holds; `.` is all of it. */
export const artifactFolder = z
  .string()
  .max(200)
  .regex(/^(?!\/)(?!.*(?:^|\/)\.\.(?:\/|$))[\w./-]+$/, 'a folder of the code')
