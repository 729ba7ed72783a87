import { api, type SecretHistory, type SecretVersion } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { CircleCheck, Flame, type LucideIcon, RotateCcw, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { call, problemOf } from '../../api/index.ts'
import { secretHistoryQuery } from '../../api/vault-queries.ts'
import { Badge, type Look } from '../../ui/badge.tsx'
import { Button } from '../../ui/button.tsx'
import { ConfirmDialog } from '../../ui/confirm-dialog.tsx'
import { Failure } from '../../ui/notice.tsx'
import { Time } from '../../ui/time.tsx'
import { ConfirmPath } from './confirm-path.tsx'
import { SecretCompare } from './secret-compare.tsx'
import { useChange } from './use-change.ts'

type Props = { path: string; onGone: () => void }
type Verb = 'delete' | 'undelete' | 'destroy'

/** The versions of a secret, newest first: what became of each, and what can be done with it. */
export function SecretVersions({ path, onGone }: Props) {
  const { data, error, refetch } = useQuery(secretHistoryQuery(path))
  const [purging, setPurging] = useState(false)
  const purge = useChange({
    work: () => call(api.secrets.purge, { path, confirm: path }),
    done: 'The secret and all its versions are gone',
    onDone: onGone,
  })
  if (problemOf(error).code === 'secret.not_found' && error) return null
  if (error) return <Failure error={error} retry={() => void refetch()} />
  return (
    <section aria-label="Versions" className="min-h-24">
      <h3 className="mb-2 font-medium">Versions</h3>
      {data ? <VersionList path={path} history={data} /> : <span className="skeleton block h-10" />}
      {data ? <SecretCompare key={data.current} path={path} history={data} /> : null}
      <div className="mt-5 border-t border-line pt-4">
        <Button size="small" tone="danger" icon={Flame} onClick={() => setPurging(true)}>
          Remove the secret…
        </Button>
      </div>
      <ConfirmPath
        open={purging}
        onClose={() => setPurging(false)}
        title="Remove the secret for ever?"
        what={path}
        action="Remove for ever"
        work={purge}
      >
        All versions go, and nothing brings them back. References to it stop working.
      </ConfirmPath>
    </section>
  )
}

const looks: Record<'readable' | 'deleted' | 'destroyed', Look> = {
  readable: { hue: 'ok', icon: CircleCheck, text: 'Readable' },
  deleted: { hue: 'wait', icon: Trash2, text: 'Deleted' },
  destroyed: { hue: 'calm', icon: Flame, text: 'Destroyed' },
}

const stateOf = ({ deletedAt, destroyed }: SecretVersion): keyof typeof looks => {
  if (destroyed) return 'destroyed'
  return deletedAt !== null && Date.parse(deletedAt) <= Date.now() ? 'deleted' : 'readable'
}

function VersionList({ path, history }: { path: string; history: SecretHistory }) {
  return (
    <ul className="divide-y divide-line rounded-lg border border-line">
      {history.versions.toReversed().map((version) => (
        <VersionLine key={version.version} path={path} version={version} />
      ))}
    </ul>
  )
}

function VersionLine({ path, version }: { path: string; version: SecretVersion }) {
  const state = stateOf(version)
  return (
    <li className="flex min-h-11 flex-wrap items-center gap-x-4 gap-y-1 px-3 py-1.5">
      <span className="w-8 font-medium tabular-nums">v{version.version}</span>
      <span className="w-24">
        <Badge look={looks[state]} bare />
      </span>
      <span className="flex-1 text-xs text-muted">
        written <Time at={version.createdAt} />
        {state === 'deleted' && version.deletedAt ? (
          <>
            , deleted <Time at={version.deletedAt} />
          </>
        ) : null}
        {state === 'readable' && version.deletedAt ? (
          <>
            , goes by itself <Time at={version.deletedAt} />
          </>
        ) : null}
      </span>
      {state === 'destroyed' ? null : (
        <span className="flex gap-1.5">
          {state === 'deleted' ? (
            <Act path={path} version={version.version} verb="undelete" />
          ) : (
            <Act path={path} version={version.version} verb="delete" />
          )}
          <Act path={path} version={version.version} verb="destroy" />
        </span>
      )}
    </li>
  )
}

const verbs: Record<Verb, { name: string; icon: LucideIcon; done: string; asks: string }> = {
  delete: { name: 'Delete', icon: Trash2, done: 'The version is deleted', asks: '' },
  undelete: { name: 'Bring back', icon: RotateCcw, done: 'The version is back', asks: '' },
  destroy: {
    name: 'Destroy…',
    icon: Flame,
    done: 'The version is destroyed',
    asks: 'Its values are wiped from the vault, and nothing brings them back.',
  },
}

function Act({ path, version, verb }: { path: string; version: number; verb: Verb }) {
  const { name, icon, done, asks } = verbs[verb]
  const [asking, setAsking] = useState(false)
  const change = useChange({
    work: () => call(api.secrets[verb], { path, versions: [version] }),
    done,
    onDone: () => setAsking(false),
  })
  return (
    <>
      <Button
        size="small"
        tone="quiet"
        icon={icon}
        busy={change.isPending && asks === ''}
        onClick={() => (asks === '' ? change.mutate() : setAsking(true))}
      >
        {name}
        <span className="sr-only"> version {version}</span>
      </Button>
      {change.error && asks === '' ? <Failure error={change.error} /> : null}
      <ConfirmDialog
        open={asking}
        onClose={() => setAsking(false)}
        title={`Destroy version ${version}?`}
        description={asks}
        action="Destroy"
        dismiss="Keep it"
        work={change}
      />
    </>
  )
}
