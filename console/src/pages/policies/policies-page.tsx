import type { api, ResultOf } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { Ban, CircleCheck, ShieldCheck } from 'lucide-react'
import { policiesQuery } from '../../api/queries.ts'
import { Badge, type Look } from '../../ui/badge.tsx'
import { CopyButton } from '../../ui/copy.tsx'
import { Empty, Failure, Skeleton } from '../../ui/notice.tsx'
import { PageHeader, Sheet } from '../../ui/page.tsx'
import { ScrollRegion } from '../../ui/scroll-region.tsx'
import { cedarWords, describePolicy, rulesIn, type Word } from './cedar-words.ts'

const route = getRouteApi('/policies')
const schemaName = 'schema'

type Policies = ResultOf<typeof api.system.policies>
type File = { name: string; text: string; note: string; about: string }

function filesOf({ policies, schema }: Policies): File[] {
  const files = policies.map(({ name, text, origin }) => ({
    name,
    text,
    note: origin === 'default' ? 'Ships with Keyward' : 'Written here',
    about: describePolicy(text),
  }))
  const about =
    'The kinds of principals, resources and actions that policies may speak of. A policy that does not fit is refused.'
  return schema === '' ? files : [...files, { name: schemaName, text: schema, note: 'Cedar schema', about }]
}

export function PoliciesPage() {
  const { data, error, refetch } = useQuery(policiesQuery)
  const files = data ? filesOf(data) : []
  const wanted = route.useSearch().policy
  const shown = files.find(({ name }) => name === wanted) ?? files[0]
  return (
    <>
      <PageHeader
        title="Policies"
        lead="Who may do what, in Cedar. What no rule permits is refused, a rule that forbids beats every rule that permits, and each decision names the policy that made it."
      />
      {error ? <Failure error={error} retry={() => void refetch()} /> : null}
      {!data && !error ? <Skeleton rows={5} label="Loading the policies" /> : null}
      {data && files.length === 0 ? (
        <Empty icon={ShieldCheck} title="No policy is in force">
          <p>
            Without one, everything is refused. Ask the server why its defaults are missing: keyward doctor.
          </p>
        </Empty>
      ) : null}
      {shown ? (
        <div className="grid gap-5 lg:grid-cols-[15rem_minmax(0,1fr)]">
          <FileList files={files} shown={shown.name} />
          <FileView file={shown} />
        </div>
      ) : null}
    </>
  )
}

function FileList({ files, shown }: { files: File[]; shown: string }) {
  return (
    <nav aria-label="Policy files">
      <ul className="flex flex-col gap-0.5">
        {files.map(({ name, note }) => (
          <li key={name}>
            <Link
              to="/policies"
              search={{ policy: name }}
              aria-current={name === shown ? 'true' : undefined}
              className={`block rounded-lg px-3 py-2 hover:bg-hover ${name === shown ? 'bg-surface shadow-[0_0_0_1px_var(--line)]' : ''}`}
            >
              <span className="block truncate font-medium">{name}</span>
              <span className="block text-xs text-muted">{note}</span>
            </Link>
          </li>
        ))}
      </ul>
    </nav>
  )
}

const effects: Record<'permit' | 'forbid', Look> = {
  permit: { hue: 'ok', icon: CircleCheck, text: 'Permits' },
  forbid: { hue: 'bad', icon: Ban, text: 'Forbids' },
}

function Rules({ source }: { source: string }) {
  const rules = rulesIn(source)
  if (rules.length === 0) return null
  return (
    <ul className="divide-y divide-line border-b border-line">
      {rules.map(({ id, effect, text }) => (
        <li key={id} className="grid gap-x-5 gap-y-1 px-5 py-3 sm:grid-cols-[5rem_minmax(0,1fr)]">
          <span className="pt-0.5">
            <Badge look={effects[effect]} bare />
          </span>
          <span>
            <span className="block text-pretty">{text}</span>
            <code className="text-xs text-muted">{id}</code>
          </span>
        </li>
      ))}
    </ul>
  )
}

function FileView({ file }: { file: File }) {
  return (
    <Sheet className="min-w-0 overflow-hidden">
      <div className="flex items-start justify-between gap-4 border-b border-line px-5 py-4">
        <div>
          <h2 className="text-base font-semibold">{file.name}</h2>
          {file.about ? <p className="mt-1 max-w-[44rem] text-pretty text-muted">{file.about}</p> : null}
        </div>
        <CopyButton text={file.text} label={`Copy the text of ${file.name}`} />
      </div>
      <Rules source={file.text} />
      <ScrollRegion label={`Text of ${file.name}`} className="overflow-x-auto bg-sunken/50 -outline-offset-2">
        <pre className="p-5 text-[0.8125rem] leading-[1.65]">
          <code>{withKeys(cedarWords(file.text))}</code>
        </pre>
      </ScrollRegion>
    </Sheet>
  )
}

const styles: Record<Word['kind'], string> = {
  comment: 'text-muted italic',
  text: 'text-ok',
  effect: 'text-brass font-semibold',
  keyword: 'text-busy',
  annotation: 'text-odd',
  entity: 'text-odd',
  plain: '',
}

function withKeys(words: Word[]) {
  let place = 0
  return words.map(({ kind, text }) => {
    const key = place
    place += text.length
    return (
      <span key={key} className={styles[kind]}>
        {text}
      </span>
    )
  })
}
