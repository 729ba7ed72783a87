import type { EgressRequest } from '@keyward/contract'
import { Ban, CircleCheck, CircleX, TriangleAlert } from 'lucide-react'
import type { ReactNode } from 'react'
import { bytesText } from '../../ui/amounts.ts'
import { Badge, type Look } from '../../ui/badge.tsx'
import { Sheet } from '../../ui/page.tsx'
import { Time } from '../../ui/time.tsx'
import { useAgentNames } from './use-agent-names.ts'

export const outcomeLooks: Record<EgressRequest['outcome'], Look> = {
  allowed: { hue: 'ok', icon: CircleCheck, text: 'Let out' },
  denied: { hue: 'bad', icon: Ban, text: 'Refused' },
  misused: { hue: 'odd', icon: TriangleAlert, text: 'Misused' },
  failed: { hue: 'wait', icon: CircleX, text: 'Failed' },
}

const cell = 'truncate px-2 first:pl-4 last:pr-4'

type Props = { requests: EgressRequest[]; selected: number | undefined; onSelect: (seq: number) => void }

export function RequestTable({ requests, selected, onSelect }: Props) {
  const nameOf = useAgentNames()
  return (
    <Sheet className="@container overflow-hidden">
      <table className="w-full table-fixed border-collapse">
        <caption className="sr-only">Requests of sandboxes, newest first</caption>
        <thead className="border-b border-line text-xs text-muted">
          <tr className="h-9 text-left">
            <Column>Request</Column>
            <Column className="w-[6.5rem]">Outcome</Column>
            <Column className="hidden w-[4rem] text-right @md:table-cell">Status</Column>
            <Column className="hidden w-[6rem] text-right @2xl:table-cell">Bytes</Column>
            <Column className="hidden w-[9rem] @2xl:table-cell">Agent</Column>
            <Column className="w-[7.5rem] text-right">When</Column>
          </tr>
        </thead>
        <tbody>
          {requests.map((request) => (
            <Row
              key={request.seq}
              request={request}
              agent={nameOf(request.agentId)}
              chosen={request.seq === selected}
              onSelect={onSelect}
            />
          ))}
        </tbody>
      </table>
    </Sheet>
  )
}

function Column({ className = '', children }: { className?: string; children: ReactNode }) {
  return (
    <th scope="col" className={`${cell} font-medium ${className}`}>
      {children}
    </th>
  )
}

/** `POST api.example.com:8443/v1`. */
export const requestText = ({ method, host, port, path }: EgressRequest): string =>
  `${method} ${host}${port === 443 ? '' : `:${port}`}${path}`.trim()

type RowProps = { request: EgressRequest; agent: string; chosen: boolean; onSelect: (seq: number) => void }

function Row({ request, agent, chosen, onSelect }: RowProps) {
  const tint = chosen ? 'bg-brass-wash' : 'hover:bg-hover'
  return (
    <tr className={`relative h-[41px] border-b border-line/70 last:border-0 ${tint}`}>
      <td className={cell}>
        <button
          type="button"
          aria-pressed={chosen}
          onClick={() => onSelect(request.seq)}
          className="max-w-full truncate text-left after:absolute after:inset-0 after:content-['']"
        >
          <code>{requestText(request)}</code>
        </button>
      </td>
      <td className={cell}>
        <Badge look={outcomeLooks[request.outcome]} bare />
      </td>
      <td className={`${cell} hidden text-right tabular-nums @md:table-cell`}>{request.status ?? '–'}</td>
      <td className={`${cell} hidden text-right text-muted tabular-nums @2xl:table-cell`}>
        {bytesText(request.bytesIn + request.bytesOut)}
      </td>
      <td className={`${cell} hidden @2xl:table-cell`}>{agent}</td>
      <td className={`${cell} text-right text-xs text-muted`}>
        <Time at={request.at} />
      </td>
    </tr>
  )
}
