import { z } from 'zod'
import { operation, timestamp } from './operation.ts'

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/)

/** Of an image; commands and policies name it. */
export const imageName = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,62}$/)

/** A root file system that commands in sandboxes may find in place of the machine's. */
export const imageView = z.object({
  name: z.string(),
  /** Of its files. */
  digest,
  /** Of the archive that it came from. */
  archiveDigest: digest,
  /** The archive's name. */
  source: z.string(),
  sizeBytes: z.int(),
  /** Files, folders and links. */
  files: z.int(),
  /** Members of the archive that are not there, or not as they were: devices, rights to become another user. */
  leftOut: z.int(),
  addedBy: z.string(),
  addedAt: timestamp,
  /** Commands that run in it now. */
  inUse: z.int(),
  /** Agents, by their ids, whose commands run in it unless their task names another. */
  agents: z.array(z.string()),
})
export type ImageView = z.output<typeof imageView>

const params = { imageName }

export const imagesApi = {
  list: operation({
    name: 'images.list',
    method: 'GET',
    path: '/sandbox-images',
    summary: 'Images that commands in sandboxes can run in',
    result: z.object({ items: z.array(imageView) }),
  }),
  add: operation({
    name: 'images.add',
    method: 'POST',
    path: '/sandbox-images',
    summary: 'Make an image of an archive on the server’s machine; it is unpacked in a sandbox',
    body: {
      name: imageName,
      /** An absolute path: a root file system as tar, an OCI layout as tar, or what `docker save` writes. */
      archive: z.string().min(1).max(4096),
      /** What the archive must be. */
      digest: digest.optional(),
    },
    result: z.object({
      image: imageView,
      /** The first of what was left out. */
      examples: z.array(z.object({ path: z.string(), reason: z.string() })),
    }),
    fails: ['image.exists', 'image.invalid', 'sandbox.unavailable'],
  }),
  verify: operation({
    name: 'images.verify',
    method: 'POST',
    path: '/sandbox-images/{imageName}/verify',
    summary: 'Compare the files of an image on this machine with those that were added',
    params,
    result: imageView,
    fails: ['image.not_found', 'image.changed'],
  }),
  remove: operation({
    name: 'images.remove',
    method: 'DELETE',
    path: '/sandbox-images/{imageName}',
    summary: 'Remove an image that nothing runs in and that is no agent’s',
    params,
    result: z.object({}),
    fails: ['image.not_found', 'image.in_use'],
  }),
  assign: operation({
    name: 'images.assign',
    method: 'PUT',
    path: '/agents/{agentId}/sandbox-image',
    summary:
      'Say in which image the commands of an agent run unless their task names another; null: the machine’s files',
    params: { agentId: z.string() },
    body: { image: imageName.nullable() },
    result: z.object({ agentId: z.string(), image: imageName.nullable() }),
    fails: ['agent.not_found', 'image.not_found'],
  }),
}
