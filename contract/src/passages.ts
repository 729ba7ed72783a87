import { z } from 'zod'
import { destination } from './agents.ts'
import { injection, sshHostKey, sshUser } from './injection.ts'
import { operation, page, paging, timestamp } from './operation.ts'

/** The way out of a command that runs outside a sandbox: through the egress proxy, for as long as the command runs. */
export const passageView = z.object({
  id: z.string(),
  agentId: z.string(),
  openedBy: z.string(),
  /** The program's name, without its arguments. */
  command: z.string(),
  state: z.enum(['open', 'ended']),
  openedAt: timestamp,
  endedAt: timestamp.nullable(),
  endReason: z.string().nullable(),
})
export type PassageView = z.output<typeof passageView>

/** A login where no HTTP is spoken. Whoever runs the command gives it a port of loopback that leads there. */
export const passageLogin = z.object({
  kind: z.enum(['postgres', 'redis']),
  /** Its placeholder is the password. */
  reference: z.string(),
  user: z.string(),
  /** Of PostgreSQL: the first one that is lent. */
  database: z.string().nullable(),
  /** What CONNECT is asked for, `host:port`: the first is the one that variables name. */
  to: z.array(z.string()),
})
export type PassageLogin = z.output<typeof passageLogin>

/** What SSH keys are lent for. Whoever runs the command gives it a socket of an SSH agent, and a port of loopback for each host. */
export const passageSsh = z.object({
  /** What CONNECT is asked for to reach the agent. */
  agent: z.string(),
  hosts: z.array(
    z.object({
      // It becomes a line of a configuration that may run commands: no blanks and no ends of lines.
      host: z.string().regex(/^[A-Za-z0-9_.:-]{1,253}$/),
      port: z.int(),
      users: z.array(sshUser),
      hostKeys: z.array(sshHostKey),
    }),
  ),
})
export type PassageSsh = z.output<typeof passageSsh>

/** Where a command may go without a secret, too. The last three are for servers inside, which whoever opens it vouches for. */
export const reachable = destination.extend({
  /** `10.1.2.3`, `10.1.2.3:8443`, `[::1]:8443`: connect there instead of asking DNS. */
  address: z.string().max(64).optional(),
  /** A certificate authority to trust besides the well-known ones. */
  caPem: z.string().max(20_000).optional(),
  /** The name may lead to an address that is not public. */
  allowPrivate: z.boolean().optional(),
})
export type Reachable = z.output<typeof reachable>

export const passagesApi = {
  open: operation({
    name: 'passages.open',
    method: 'POST',
    path: '/passages',
    summary:
      'Open the way out of a command outside a sandbox: placeholders for references, and a socket of the proxy',
    body: {
      /** Whose leases; an agent opens for itself only, and a person without one for an agent of their own. */
      agentId: z.string().min(1).max(100).optional(),
      command: z.string().min(1).max(200),
      references: z.array(z.string().max(1024)).max(100).default([]),
      /** Where the secrets may go. Absent: where the newest grant of each lets it. A person who gives it grants it. */
      to: z.array(destination).min(1).max(20).optional(),
      /** With `to`: how the secrets become part of a request. */
      injection: injection.optional(),
      /** Where else the command may go. */
      reach: z.array(reachable).max(50).default([]),
    },
    result: z.object({
      passage: passageView,
      /** On the server's machine, for its user. Whoever can connect to it is this command. */
      socketPath: z.string(),
      /** The authority of this passage alone. */
      caPem: z.string(),
      /** By reference. */
      placeholders: z.record(z.string(), z.string()),
      /** One of a kind at most. */
      logins: z.array(passageLogin),
      /** Null where no key is lent. */
      ssh: passageSsh.nullable(),
    }),
    fails: [
      'agent.not_found',
      'agent.inactive',
      'secret.not_found',
      'reference.invalid',
      'egress.unavailable',
    ],
  }),
  keep: operation({
    name: 'passages.keep',
    method: 'POST',
    path: '/passages/{passageId}/keep',
    summary: 'Say that the command still runs; a passage that nobody keeps ends by itself',
    params: { passageId: z.string() },
    result: z.object({ endsAt: timestamp }),
    fails: ['passage.not_found', 'passage.ended'],
  }),
  close: operation({
    name: 'passages.close',
    method: 'POST',
    path: '/passages/{passageId}/close',
    summary: 'End a passage now: its leases are revoked and its connections cut',
    params: { passageId: z.string() },
    result: passageView,
    fails: ['passage.not_found'],
  }),
  list: operation({
    name: 'passages.list',
    method: 'GET',
    path: '/passages',
    summary: 'Passages, newest first',
    query: { ...paging, agentId: z.string().optional() },
    result: page(passageView),
  }),
}
