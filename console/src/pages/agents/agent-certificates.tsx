import { api, type CertificateView } from '@keyward/contract'
import { useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/react-query'
import { Ban } from 'lucide-react'
import { useState } from 'react'
import { call } from '../../api/index.ts'
import { certificatesQuery } from '../../api/queries.ts'
import { announce } from '../../ui/announcer.tsx'
import { Badge, certificateLook } from '../../ui/badge.tsx'
import { Button } from '../../ui/button.tsx'
import { CopyButton } from '../../ui/copy.tsx'
import { LoadMore } from '../../ui/load-more.tsx'
import { Failure, Skeleton } from '../../ui/notice.tsx'
import { ReasonDialog } from '../../ui/reason-dialog.tsx'
import { Countdown, Time } from '../../ui/time.tsx'

/** By what the agent's other machines are known. */
export function AgentCertificates({ agentId }: { agentId: string }) {
  const list = useInfiniteQuery(certificatesQuery(agentId))
  const certificates = list.data?.pages.flatMap(({ items }) => items) ?? []
  if (list.error) return <Failure error={list.error} retry={() => void list.refetch()} />
  if (list.isPending) return <Skeleton rows={2} label="Loading the certificates" />
  if (certificates.length === 0)
    return <p className="text-muted">None: it works on this machine only, or not through the proxy.</p>
  return (
    <>
      <ul className="divide-y divide-line rounded-lg border border-line">
        {certificates.map((certificate) => (
          <Certificate key={certificate.id} certificate={certificate} />
        ))}
      </ul>
      <LoadMore more={list} />
    </>
  )
}

function Certificate({ certificate }: { certificate: CertificateView }) {
  const { fingerprint, state, expiresAt, lastSeenAt, revokeReason } = certificate
  return (
    <li className="flex flex-col gap-1.5 px-3 py-3">
      <div className="flex flex-wrap items-center justify-between gap-2">
        <Badge look={certificateLook[state]} />
        {state === 'valid' ? <Revoke certificate={certificate} /> : null}
      </div>
      <p className="flex items-center gap-1">
        <code className="break-all text-[0.8125rem]">{fingerprint.slice(0, 32)}…</code>
        <CopyButton text={fingerprint} label="Copy the fingerprint" />
      </p>
      <p className="text-xs text-muted">
        {lastSeenAt ? (
          <>
            last seen <Time at={lastSeenAt} />
          </>
        ) : (
          'never seen'
        )}
        {state === 'valid' ? (
          <>
            {' · ends in '}
            <Countdown until={expiresAt} />
          </>
        ) : null}
        {revokeReason ? ` · revoked: ${revokeReason}` : ''}
      </p>
    </li>
  )
}

function Revoke({ certificate }: { certificate: CertificateView }) {
  const client = useQueryClient()
  const [asking, setAsking] = useState(false)
  const revoke = useMutation({
    mutationFn: (reason: string) => call(api.certificates.revoke, { certificateId: certificate.id, reason }),
    onSuccess: () => {
      setAsking(false)
      announce('The certificate is revoked')
      return client.invalidateQueries({ queryKey: ['certificates'] })
    },
  })
  return (
    <>
      <Button size="small" tone="danger" icon={Ban} onClick={() => setAsking(true)}>
        Revoke…<span className="sr-only"> the certificate {certificate.fingerprint.slice(0, 8)}</span>
      </Button>
      <ReasonDialog
        open={asking}
        onClose={() => setAsking(false)}
        title="Revoke this certificate?"
        description="It is refused from now on, and what it has open is cut. The agent's other certificates stay."
        action="Revoke it"
        work={revoke}
      />
    </>
  )
}
