import type { ExplanationView } from '@keyward/contract'
import { CircleCheck, CircleX, Lightbulb } from 'lucide-react'
import { CopyButton } from '../../ui/copy.tsx'
import { Facts } from '../../ui/page.tsx'
import { ScrollRegion } from '../../ui/scroll-region.tsx'

/** What would happen to a request and why, with the line of a policy that would change it. */
export function Explanation({ explanation }: { explanation: ExplanationView }) {
  const { allowed, reasons, deciding, policies, mount, remedy, needs, needsMode, token } = explanation
  const [first, ...others] = reasons
  const Icon = allowed ? CircleCheck : CircleX
  const tone = allowed ? 'border-ok/40 bg-ok-wash' : 'border-bad/40 bg-bad-wash'
  return (
    <div className="flex flex-col gap-5">
      <div role="status" className={`flex items-start gap-3 rounded-xl border px-4 py-3.5 ${tone}`}>
        <Icon
          size={18}
          className={`mt-0.5 shrink-0 ${allowed ? 'text-ok' : 'text-bad'}`}
          aria-hidden="true"
        />
        <div className="min-w-0">
          <p className={`font-semibold ${allowed ? 'text-ok' : 'text-bad'}`}>
            {allowed ? 'Allowed' : 'Refused'}
          </p>
          <p className="mt-0.5 text-pretty wrap-anywhere">{first?.text}</p>
        </div>
      </div>
      {others.length > 0 ? (
        <ul className="flex flex-col gap-2">
          {others.map(({ code, text }) => (
            <li key={code + text} className="flex items-start gap-2.5">
              <Lightbulb size={15} className="mt-[3px] shrink-0 text-brass" aria-hidden="true" />
              <span className="min-w-0 text-pretty wrap-anywhere">{text}</span>
            </li>
          ))}
        </ul>
      ) : null}
      {remedy === null || allowed ? null : <Stanza text={remedy} />}
      <Facts
        columns={2}
        facts={[
          ['Needs', needs.length === 0 ? 'nothing' : needs.join(needsMode === 'some' ? ' or ' : ' and ')],
          ['Mount', mount ? `${mount.path} (${mount.type})` : 'none that it can see'],
          [
            'Policies',
            policies.map(({ name, exists }) => (exists ? name : `${name} (missing)`)).join(', ') || 'none',
          ],
          [
            'Decided by',
            deciding.length === 0
              ? '–'
              : deciding.map(({ policy, line, path }) => `${policy}, line ${line}: ${path}`).join('; '),
          ],
          ...(token ? ([['Token', token.displayName]] as const) : []),
        ]}
      />
    </div>
  )
}

function Stanza({ text }: { text: string }) {
  return (
    <section aria-label="What would allow it">
      <p className="mb-2 flex items-center justify-between gap-2 font-medium">
        This would allow it, and no more
        <CopyButton text={text} label="Copy the stanza" />
      </p>
      <ScrollRegion label="Stanza" className="overflow-x-auto rounded-lg border border-line bg-sunken">
        <pre className="p-3 text-xs leading-relaxed">{text.trimEnd()}</pre>
      </ScrollRegion>
    </section>
  )
}
