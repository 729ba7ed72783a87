import type { api, ResultOf, SecretHistory } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { CircleDot, Equal, GitCompareArrows, Minus, Plus } from 'lucide-react'
import { useState } from 'react'
import { secretCompareQuery } from '../../api/vault-queries.ts'
import { Badge, type Look } from '../../ui/badge.tsx'
import { Button } from '../../ui/button.tsx'
import { Choice } from '../../ui/field.tsx'
import { Failure } from '../../ui/notice.tsx'
import { RevealField } from './reveal-field.tsx'

type FieldChange = ResultOf<typeof api.secrets.compare>['fields'][number]

const looks: Record<FieldChange['change'], Look> = {
  added: { hue: 'ok', icon: Plus, text: 'Added' },
  removed: { hue: 'bad', icon: Minus, text: 'Removed' },
  changed: { hue: 'wait', icon: CircleDot, text: 'Changed' },
  same: { hue: 'calm', icon: Equal, text: 'Same' },
}

/** Which fields differ between two versions. Their values are shown one by one, and each look is recorded. */
export function SecretCompare({ path, history }: { path: string; history: SecretHistory }) {
  const readable = history.versions
    .filter(
      ({ destroyed, deletedAt }) => !destroyed && (deletedAt === null || Date.parse(deletedAt) > Date.now()),
    )
    .map(({ version }) => version)
    .toReversed()
  const [latest = 0, before = 0] = readable
  const [from, setFrom] = useState(before)
  const [to, setTo] = useState(latest)
  const [shown, setShown] = useState(false)
  if (readable.length < 2) return null
  const options = readable.map((version) => [String(version), `v${version}`] as const)
  return (
    <div className="mt-4">
      <div className="flex flex-wrap items-center gap-x-4 gap-y-2">
        <Choice
          label="Compare"
          value={String(from)}
          options={options}
          onChange={(value) => setFrom(Number(value))}
        />
        <Choice
          label="with"
          value={String(to)}
          options={options}
          onChange={(value) => setTo(Number(value))}
        />
        {shown ? null : (
          <Button size="small" icon={GitCompareArrows} onClick={() => setShown(true)}>
            Compare
          </Button>
        )}
      </div>
      {shown ? <Differences path={path} from={from} to={to} /> : null}
    </div>
  )
}

function Differences({ path, from, to }: { path: string; from: number; to: number }) {
  const { data, error } = useQuery(secretCompareQuery(path, from, to))
  const [open, setOpen] = useState<string>()
  if (error) return <Failure error={error} />
  if (!data) return <span className="skeleton mt-3 block h-10" />
  return (
    <ul className="mt-3 divide-y divide-line rounded-lg border border-line">
      {data.fields.map(({ field, change }) => (
        <li key={field}>
          <div className="flex min-h-11 flex-wrap items-center gap-x-4 px-3 py-1.5">
            <code className="min-w-24 flex-1 font-medium break-all">{field}</code>
            <Badge look={looks[change]} bare />
            {change === 'same' ? null : (
              <Button
                size="small"
                tone="quiet"
                aria-expanded={open === field}
                onClick={() => setOpen(open === field ? undefined : field)}
              >
                {open === field ? 'Close' : 'Values'}
                <span className="sr-only"> of {field}</span>
              </Button>
            )}
          </div>
          {open === field ? (
            <div className="border-t border-line bg-sunken/50 pl-3">
              {change === 'added' ? null : <Side path={path} field={field} version={from} />}
              {change === 'removed' ? null : <Side path={path} field={field} version={to} />}
            </div>
          ) : null}
        </li>
      ))}
    </ul>
  )
}

function Side({ path, field, version }: { path: string; field: string; version: number }) {
  return (
    <div className="flex items-center">
      <span className="w-8 text-xs text-muted tabular-nums">v{version}</span>
      <div className="min-w-0 flex-1">
        <RevealField key={version} path={path} field={field} version={version} />
      </div>
    </div>
  )
}
