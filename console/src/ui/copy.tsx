import { Check, Copy } from 'lucide-react'
import { useState } from 'react'
import { announce } from './announcer.tsx'

const shownMilliseconds = 2000

export function CopyButton({ text, label }: { text: string; label: string }) {
  const [copied, setCopied] = useState(false)
  const Icon = copied ? Check : Copy
  const copy = async (): Promise<void> => {
    const done = await writeClipboard(text)
    announce(done ? 'Copied' : 'Copying is not allowed here; select the text instead')
    if (!done) return
    setCopied(true)
    setTimeout(() => setCopied(false), shownMilliseconds)
  }
  return (
    <button
      type="button"
      onClick={() => void copy()}
      aria-label={label}
      title={label}
      className="inline-flex size-6 shrink-0 items-center justify-center rounded text-muted hover:bg-hover hover:text-ink"
    >
      <Icon size={14} className={copied ? 'text-ok' : ''} aria-hidden="true" />
    </button>
  )
}

async function writeClipboard(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    return false
  }
}

/** A command to type, with a button that copies it. */
export function Command({ text }: { text: string }) {
  return (
    <span className="inline-flex max-w-full items-center gap-1 rounded-md border border-line bg-sunken py-1 pr-1 pl-2.5">
      <code className="min-w-0 text-left break-all text-ink">{text}</code>
      <CopyButton text={text} label={`Copy the command ${text}`} />
    </span>
  )
}

/** A long identifier: shortened in the middle for the eye, whole for copying and for screen readers. */
export function Digest({ value, head = 10, what }: { value: string; head?: number; what: string }) {
  const short = value.length > head * 2 + 1 ? `${value.slice(0, head)}…${value.slice(-head)}` : value
  return (
    <span className="inline-flex items-center gap-1">
      <code title={value}>
        <span aria-hidden="true">{short}</span>
        <span className="sr-only">{value}</span>
      </code>
      <CopyButton text={value} label={`Copy ${what}`} />
    </span>
  )
}
