import type { SecretDetail } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { secretQuery } from '../../api/queries.ts'
import { Command, CopyButton } from '../../ui/copy.tsx'
import { Failure, Skeleton } from '../../ui/notice.tsx'
import { Facts } from '../../ui/page.tsx'
import { ExactTime } from '../../ui/time.tsx'
import { RevealField } from './reveal-field.tsx'

export function SecretPanel({ path }: { path: string }) {
  const { data, error, refetch } = useQuery(secretQuery(path))
  if (error) return <Failure error={error} retry={() => void refetch()} />
  if (!data) return <Skeleton rows={3} label="Loading the secret" />
  return <Detail secret={data} />
}

function Detail({ secret }: { secret: SecretDetail }) {
  return (
    <div className="flex flex-col gap-6">
      <div>
        <h2 className="text-lg font-semibold break-all">{secret.path.split('/').at(-1)}</h2>
        <p className="mt-0.5 break-all text-muted">
          <code>{secret.path}</code>
        </p>
      </div>
      <Facts
        columns={2}
        facts={[
          ['Version', secret.version],
          ['Written', <ExactTime key="at" at={secret.createdAt} />],
        ]}
      />
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
    </div>
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
