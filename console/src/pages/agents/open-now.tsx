import { type OpenConnections, openText } from '@keyward/contract'

/** What is open through the egress proxy at this moment; nothing when nothing is. */
export function OpenNow({ open }: { open: OpenConnections | undefined }) {
  const text = open ? openText(open) : ''
  return text === '' ? null : <p className="mb-4 text-[0.8125rem] text-muted">Open now: {text}</p>
}
