import type { Json } from '@keyward/contract'
import { FileDiff } from '../../ui/file-diff.tsx'
import { JsonView } from '../../ui/json-view.tsx'
import { type Fact, Facts, Section, Sheet } from '../../ui/page.tsx'
import { SecretMoves } from '../../ui/secret-moves.tsx'
import { AgentWorkView } from './agent-work.tsx'
import { previewParts } from './preview-parts.ts'

/** Everything that would happen, drawn where it is understood and as data where it is not. */
export function PreviewView({ preview }: { preview: Json }) {
  const { files, moves, historyOnly, work, rest } = previewParts(preview)
  const entries = Object.entries(rest)
  const facts: Fact[] = entries.flatMap(([name, value]) =>
    isPlain(value) ? [[readable(name), plainText(value)] as const] : [],
  )
  const structures = entries.filter(([, value]) => !isPlain(value))
  return (
    <>
      {facts.length > 0 ? (
        <Section title="In short">
          <Sheet className="px-5 py-4">
            <Facts facts={facts} columns={2} />
          </Sheet>
        </Section>
      ) : null}
      {moves.length > 0 ? (
        <Section
          title={
            moves.length === 1
              ? 'One secret goes into the vault'
              : `${moves.length} secrets go into the vault`
          }
        >
          <SecretMoves moves={moves} />
        </Section>
      ) : null}
      {files.length > 0 ? (
        <Section title={files.length === 1 ? 'One file changes' : `${files.length} files change`}>
          <div className="flex flex-col gap-4">
            {files.map((change) => (
              <FileDiff key={change.file} change={change} />
            ))}
          </div>
        </Section>
      ) : null}
      {historyOnly.length > 0 ? (
        <Section title="Only in the git history">
          <p className="text-pretty text-muted">
            Stored, but no file is rewritten: {historyOnly.join(', ')}. Rotate them at their provider.
          </p>
        </Section>
      ) : null}
      {work.map((one) => (
        <AgentWorkView key={one.agentId} work={one} />
      ))}
      {structures.map(([name, value]) => (
        <Section key={name} title={readable(name)}>
          <JsonView value={value} label={readable(name)} />
        </Section>
      ))}
    </>
  )
}

function isPlain(value: Json): value is string | number | boolean | null {
  return value === null || typeof value !== 'object'
}

function plainText(value: string | number | boolean | null): string {
  if (value === null) return 'None'
  return typeof value === 'boolean' ? (value ? 'Yes' : 'No') : String(value)
}

/** `secretPath` → `Secret path`. */
function readable(name: string): string {
  const words = name.replaceAll(/([a-z])([A-Z])/g, '$1 $2').toLowerCase()
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}`
}
