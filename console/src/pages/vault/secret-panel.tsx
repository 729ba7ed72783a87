import type { SecretDetail } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { PenLine } from 'lucide-react'
import { useState } from 'react'
import { problemOf } from '../../api/index.ts'
import { secretQuery } from '../../api/queries.ts'
import { Button } from '../../ui/button.tsx'
import { Command, CopyButton } from '../../ui/copy.tsx'
import { Failure, Skeleton } from '../../ui/notice.tsx'
import { Facts } from '../../ui/page.tsx'
import { ExactTime } from '../../ui/time.tsx'
import { RevealField } from './reveal-field.tsx'
import { SecretEditor } from './secret-editor.tsx'
import { SecretVersions } from './secret-versions.tsx'

type Props = { path: string; onGone: () => void }

export function SecretPanel({ path, onGone }: Props) {
  const { data, error, refetch, isPending } = useQuery(secretQuery(path))
  const deleted = problemOf(error).code === 'secret.not_found'
  if (error && !deleted) return <Failure error={error} retry={() => void refetch()} />
  if (isPending) return <Skeleton rows={3} label="Loading the secret" />
  return (
    <div className="flex flex-col gap-6">
      <Head path={path} secret={deleted ? undefined : data} />
      {data && !deleted ? (
        <Detail secret={data} />
      ) : (
        <p>Its newest version is deleted: it has no values now.</p>
      )}
      {data?.version === null ? null : <SecretVersions path={path} onGone={onGone} />}
    </div>
  )
}

function Head({ path, secret }: { path: string; secret: SecretDetail | undefined }) {
  const [writing, setWriting] = useState(false)
  return (
    <div className="flex flex-wrap items-start justify-between gap-3">
      <div className="min-w-0">
        <h2 className="text-lg font-semibold break-all">{path.split('/').at(-1)}</h2>
        <p className="mt-0.5 break-all text-muted">
          <code>{path}</code>
        </p>
      </div>
      {secret && secret.version !== null ? (
        <>
          <Button size="small" icon={PenLine} onClick={() => setWriting(true)}>
            New version…
          </Button>
          <SecretEditor open={writing} onClose={() => setWriting(false)} secret={secret} />
        </>
      ) : null}
    </div>
  )
}

function Detail({ secret }: { secret: SecretDetail }) {
  return (
    <>
      {secret.createdAt === null ? (
        <p className="text-muted">
          Its mount is KV version 1: it keeps the newest values alone, and programs write them at /v1.
        </p>
      ) : (
        <Facts
          columns={2}
          facts={[
            ['Version', secret.version],
            ['Written', <ExactTime key="at" at={secret.createdAt} />],
          ]}
        />
      )}
      <section>
        <h3 className="mb-2 font-medium">Fields</h3>
        <ul className="divide-y divide-line rounded-lg border border-line">
          {secret.fields.map((field) => (
            <li key={field}>
              <RevealField path={secret.path} field={field} />
            </li>
          ))}
        </ul>
      </section>
      <References references={secret.references} />
    </>
  )
}

function References({ references }: { references: readonly string[] }) {
  if (references.length === 0) return null
  return (
    <section>
      <h3 className="mb-2 font-medium">{references.length === 1 ? 'Reference' : 'References'}</h3>
      <ul className="flex flex-col gap-1">
        {references.map((reference) => (
          <li key={reference} className="flex items-center gap-1">
            <code className="break-all">{reference}</code>
            <CopyButton text={reference} label={`Copy the reference ${reference}`} />
          </li>
        ))}
      </ul>
      <p className="mt-3 mb-1.5 text-muted">
        A program gets the value where a reference stands, without changing it:
      </p>
      <Command text="keyward run -- npm start" />
    </section>
  )
}
