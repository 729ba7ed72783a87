import { api, type OutputChunk, type TaskView } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { ArrowDownToLine, WrapText } from 'lucide-react'
import { Fragment, useEffect, useRef, useState } from 'react'
import { outputQuery } from '../../api/queries.ts'
import { CopyButton } from '../../ui/copy.tsx'
import { Failure } from '../../ui/notice.tsx'

type Props = { runId: string; task: Pick<TaskView, 'id' | 'state' | 'title'> }

/** What the task prints: live while it runs, else what is kept of it. Nothing when it printed nothing. */
export function TaskOutput({ runId, task }: Props) {
  return task.state === 'Running' ? <Live runId={runId} task={task} /> : <Kept runId={runId} task={task} />
}

function Kept({ runId, task }: Props) {
  const { data, error, refetch } = useQuery(outputQuery(runId, task.id))
  if (error) return <Failure error={error} retry={() => void refetch()} />
  if (!data || data.chunks.length === 0) return null
  return <Shown chunks={data.chunks} missed={data.missed} live={false} title={task.title} />
}

function Live({ runId, task }: Props) {
  const { chunks, missed, lost } = useStream(runId, task.id)
  return (
    <>
      <Shown chunks={chunks} missed={missed} live title={task.title} />
      {lost ? (
        <p className="text-bad">The server does not send what it prints. Reload the page to try again.</p>
      ) : null}
    </>
  )
}

const keptChunks = 2000
const nothingSeen: { chunks: OutputChunk[]; missed: boolean; lost: boolean } = {
  chunks: [],
  missed: false,
  lost: false,
}

function useStream(runId: string, taskId: string) {
  const [seen, setSeen] = useState(nothingSeen)
  useEffect(() => {
    const path = api.runs.output.path.replace('{runId}', encodeURIComponent(runId))
    const source = new EventSource(`/api/v1${path.replace('{taskId}', encodeURIComponent(taskId))}/stream`)
    source.addEventListener('output', ({ data }) => {
      const chunk = JSON.parse(String(data)) as OutputChunk
      setSeen(({ chunks, missed }) => ({
        chunks: [...chunks, chunk].slice(-keptChunks),
        missed: missed || chunks.length >= keptChunks,
        lost: false,
      }))
    })
    source.addEventListener('missed', () => setSeen((before) => ({ ...before, missed: true })))
    source.addEventListener('end', () => source.close())
    // What is only interrupted is taken up again by the browser itself.
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) setSeen((before) => ({ ...before, lost: true }))
    }
    return () => {
      source.close()
      setSeen(nothingSeen)
    }
  }, [runId, taskId])
  return seen
}

type ShownProps = { chunks: readonly OutputChunk[]; missed: boolean; live: boolean; title: string }

function Shown({ chunks, missed, live, title }: ShownProps) {
  const [wrap, setWrap] = useState(true)
  const [following, setFollowing] = useState(true)
  const box = useRef<HTMLElement>(null)
  const last = chunks.at(-1)?.seq
  useEffect(() => {
    const { current } = box
    if (current && following && last !== undefined) current.scrollTop = current.scrollHeight
  }, [following, last])
  /** Who scrolls up is reading; the end of the text takes it up again. */
  const scrolled = (): void => {
    const { current } = box
    if (current) setFollowing(current.scrollHeight - current.scrollTop - current.clientHeight < nearTheEnd)
  }
  return (
    <div>
      <div className="mb-1.5 flex items-center gap-1">
        <h3 className="flex-1 text-xs text-muted">
          What it prints{live ? (following ? ', live' : ', live; not following') : ''}
        </h3>
        <Toggle icon={ArrowDownToLine} label="Follow the end" on={following} onChange={setFollowing} />
        <Toggle icon={WrapText} label="Wrap long lines" on={wrap} onChange={setWrap} />
        <CopyButton text={chunks.map(({ text }) => text).join('')} label="Copy what it printed" />
      </div>
      {missed ? <p className="mb-1.5 text-xs text-muted">The beginning is kept no longer.</p> : null}
      <section
        ref={box}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: without it the hidden part cannot be reached by keyboard (WCAG 2.1.1)
        tabIndex={0}
        aria-label={`What ${title} prints`}
        onScroll={scrolled}
        className="max-h-96 overflow-auto rounded-lg border border-line bg-sunken px-3 py-2 text-[0.8125rem]"
      >
        <pre className={wrap ? 'whitespace-pre-wrap wrap-anywhere' : ''}>
          {chunks.length === 0 ? 'Nothing yet.' : null}
          {chunks.map(({ seq, stream, text }) => (
            <span key={seq} className={stream === 'stderr' ? 'text-bad' : ''}>
              <Marked text={text} />
            </span>
          ))}
        </pre>
      </section>
      {chunks.some(({ stream }) => stream === 'stderr') ? (
        <p className="mt-1 text-xs text-muted">In red: what it wrote to standard error.</p>
      ) : null}
    </div>
  )
}

const nearTheEnd = 24
const redacted = '[redacted by Keyward]'

/** With a mark where a value was taken out. */
function Marked({ text }: { text: string }) {
  const parts = text.split(redacted)
  return parts.map((part, i) => (
    <Fragment key={`${String(i)}-${part.length}`}>
      {i === 0 ? null : <mark className="rounded bg-brass-wash px-1 text-brass">redacted</mark>}
      {part}
    </Fragment>
  ))
}

type ToggleProps = { icon: typeof WrapText; label: string; on: boolean; onChange: (on: boolean) => void }

function Toggle({ icon: Icon, label, on, onChange }: ToggleProps) {
  return (
    <button
      type="button"
      aria-label={label}
      title={label}
      aria-pressed={on}
      onClick={() => onChange(!on)}
      className="inline-flex size-6 shrink-0 items-center justify-center rounded text-muted hover:bg-hover hover:text-ink aria-pressed:text-brass"
    >
      <Icon size={14} aria-hidden="true" />
    </button>
  )
}
