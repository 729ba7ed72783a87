import type { Answer, PathSpec } from '../../engine.ts'

/** Documented and not here, with the reason that a caller is given: clearer than a path that nobody knows. */
const refused: Readonly<Record<string, string>> = {
  'config/reload/{subsystem...}': 'settings are read when the server starts: restart it',
  'config/group-policy-application': 'there are no namespaces',
  'config/control-group': 'approvals are asked for by runs: /api/v1/approvals',
  'config/ui/custom-messages': "the console shows no messages of one's own",
  'policies/egp/{rest...}': 'rules above the ACL are written in Cedar: docs/how-to/policies.md',
  'policies/rgp/{rest...}': 'rules above the ACL are written in Cedar: docs/how-to/policies.md',
  'control-group/{rest...}': 'approvals are asked for by runs: /api/v1/approvals',
  'external-keys/{rest...}': 'keys in other key stores are not supported',
  'generate-recovery-token/{rest...}': 'there is no recovery mode',
  'internal/inspect/{rest...}': 'the inside of a running server is not shown',
  'license/{rest...}': 'there is no license to give',
  loggers: 'how much is logged is said when the server starts: --log-level',
  'loggers/{name...}': 'how much is logged is said when the server starts: --log-level',
  'managed-keys/{rest...}': 'keys in other key stores are not supported',
  'mfa/{rest...}': 'a second factor at login is not supported on this API',
  monitor: "the server's log is on its standard error",
  namespaces: 'namespaces are not supported by this server',
  'namespaces/{rest...}': 'namespaces are not supported by this server',
  'plugins/runtimes/{rest...}': 'plugins cannot be registered: this server runs what is built in',
  'pprof/{rest...}': 'profiles of a running server are not given out',
  pprof: 'profiles of a running server are not given out',
  'quotas/{rest...}': 'how many leases a role may have is a setting of the role',
  raw: 'storage is not given out raw',
  'raw/{rest...}': 'storage is not given out raw',
  'replication/dr/{rest...}': 'there is no replication',
  'replication/performance/{rest...}': 'there is no replication',
  'sealwrap/{rest...}': 'everything is encrypted by one barrier',
  'storage/raft/bootstrap/{rest...}': 'there is one server',
  'storage/raft/demote': 'there is one server',
  'storage/raft/autopilot/{rest...}': 'there is one server',
  'storage/raft/configuration': 'there is one server',
  'storage/raft/join': 'there is one server',
  'storage/raft/promote': 'there is one server',
  'storage/raft/remove-peer': 'there is one server',
  'storage/raft/snapshot-auto/{rest...}': 'backups are made by themselves: keyward backup configure',
  'sync/{rest...}': 'secrets are not synchronised to other stores',
  'workflows/{rest...}': 'runs are at /api/v1/runs',
}

export function refusedPaths(): PathSpec[] {
  return Object.entries(refused).map(([pattern, reason]) => {
    const answer = async (): Promise<Answer> => ({ status: 404, errors: [`unsupported path: ${reason}`] })
    return {
      pattern,
      refused: reason,
      sudo: true,
      read: answer,
      list: answer,
      post: answer,
      delete: answer,
      patch: answer,
    }
  })
}
