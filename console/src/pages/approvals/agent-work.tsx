import { injectionText } from '@keyward/contract'
import { useInfiniteQuery } from '@tanstack/react-query'
import { Bot, Globe, KeyRound } from 'lucide-react'
import type { ReactNode } from 'react'
import { agentsQuery } from '../../api/queries.ts'
import { destinationText } from '../../ui/destination.ts'
import { type Fact, Facts, Section, Sheet } from '../../ui/page.tsx'
import type { AgentWork } from './preview-parts.ts'

/** A command that an agent would run in a sandbox: who, what, with which secret, and where it may go. */
export function AgentWorkView({ work }: { work: AgentWork }) {
  return (
    <Section title="Then an agent works">
      <Sheet>
        <div className="border-b border-line px-5 py-4">
          <p className="font-medium text-pretty">{work.title}</p>
          <pre className="mt-2 overflow-x-auto rounded-lg bg-sunken px-3 py-2 text-[0.8125rem] whitespace-pre-wrap">
            <code className="break-all">{work.command.map(shellWord).join(' ')}</code>
          </pre>
        </div>
        <div className="grid gap-x-8 gap-y-4 px-5 py-4 sm:grid-cols-2">
          <Part icon={<Bot size={16} aria-hidden="true" />} title="Agent">
            <AgentName id={work.agentId} />
          </Part>
          <Part icon={<KeyRound size={16} aria-hidden="true" />} title="It borrows">
            <code className="wrap-anywhere">
              {work.secretPath} · {work.field}
            </code>
            <p className="text-[0.8125rem] text-muted">
              As a placeholder in <code>{work.variable}</code>; the lease ends with the task. It is exchanged{' '}
              {injectionText(work.injection ?? { kind: 'anywhere' })}.
            </p>
          </Part>
          <Part icon={<Globe size={16} aria-hidden="true" />} title="It may reach, and nothing else">
            <ul>
              {work.destinations.map((place) => (
                <li key={destinationText(place)} className="wrap-anywhere">
                  {destinationText(place)}
                </li>
              ))}
            </ul>
          </Part>
        </div>
        <Surroundings work={work} />
      </Sheet>
    </Section>
  )
}

function Part({ icon, title, children }: { icon: ReactNode; title: string; children: ReactNode }) {
  return (
    <div className="flex min-w-0 gap-3">
      <span className="mt-0.5 shrink-0 text-brass">{icon}</span>
      <div className="min-w-0">
        <h3 className="text-xs text-muted">{title}</h3>
        {children}
      </div>
    </div>
  )
}

function AgentName({ id }: { id: string }) {
  const { data } = useInfiniteQuery(agentsQuery)
  const agent = data?.pages.flatMap(({ items }) => items).find((one) => one.id === id)
  if (!agent) return <code className="break-all">{id}</code>
  return (
    <>
      <p className="font-medium">{agent.name}</p>
      <code className="text-xs break-all text-muted">{id}</code>
    </>
  )
}

function Surroundings({ work: { workspace, environment, injection, budget, route } }: { work: AgentWork }) {
  const variables = Object.entries(environment)
  const facts: Fact[] = []
  if (workspace !== null)
    facts.push(['Folder, copied into the sandbox', <code key="folder">{workspace}</code>])
  if (variables.length > 0)
    facts.push([
      'Environment',
      <ul key="environment">
        {variables.map(([name, value]) => (
          <li key={name} className="wrap-anywhere">
            <code>
              {name}={value}
            </code>
          </li>
        ))}
      </ul>,
    ])
  if (injection !== undefined)
    facts.push([
      'How it is exchanged, in full',
      <code key="injection" className="break-all">
        {JSON.stringify(injection)}
      </code>,
    ])
  if (budget !== undefined)
    facts.push([
      'Budget',
      <code key="budget" className="break-all">
        {JSON.stringify(budget)}
      </code>,
    ])
  if (route !== null) facts.push(['Connects to', <Route key="route" route={route} />])
  if (facts.length === 0) return null
  return (
    <div className="border-t border-line px-5 py-4">
      <Facts facts={facts} columns={2} />
    </div>
  )
}

function Route({ route }: { route: NonNullable<AgentWork['route']> }) {
  return (
    <>
      <p>
        <code>{route.address}</code>
        <span className="text-muted">
          {' '}
          instead of asking DNS, and trusts a certificate authority of its own
        </span>
      </p>
      <details className="mt-1 text-[0.8125rem]">
        <summary className="text-muted hover:text-ink">Show the certificate</summary>
        <pre className="mt-1 overflow-x-auto text-xs whitespace-pre-wrap">
          <code className="break-all">{route.caPem}</code>
        </pre>
      </details>
    </>
  )
}

/** As one would type it, so that an argument with a space in it is seen to be one. */
const shellWord = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
