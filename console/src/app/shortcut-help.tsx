import { type ReactNode, useId, useState } from 'react'
import { Dialog } from '../ui/dialog.tsx'
import { places } from './places.ts'
import { keepSingleKeys, singleKeysOn } from './shortcuts.ts'

export function ShortcutHelp({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog open={open} onClose={onClose} title="Keyboard shortcuts">
      <dl className="grid gap-x-8 gap-y-1 sm:grid-cols-2">
        <Line keys={['Ctrl', 'K']} joined text="Search and commands" />
        <Line keys={['?']} text="This help" />
        {places.map(({ letter, name }) => (
          <Line key={letter} keys={['g', letter]} text={name} />
        ))}
        <Line keys={['Esc']} text="Close what is open" />
      </dl>
      <SingleKeys />
    </Dialog>
  )
}

function Line({ keys, text, joined = false }: { keys: string[]; text: string; joined?: boolean }) {
  const parts: ReactNode[] = keys.map((key) => (
    <kbd key={key} className="rounded border border-line bg-sunken px-1.5 py-0.5 text-xs">
      {key}
    </kbd>
  ))
  return (
    <div className="flex items-center justify-between gap-3 py-1">
      <dt>{text}</dt>
      <dd className="flex items-center gap-1 text-xs text-muted">
        {parts[0]}
        {parts.length > 1 ? (
          <>
            {joined ? '+' : 'then'} {parts[1]}
          </>
        ) : null}
      </dd>
    </div>
  )
}

function SingleKeys() {
  const id = useId()
  const [on, setOn] = useState(singleKeysOn)
  const change = (next: boolean): void => {
    keepSingleKeys(next)
    setOn(next)
  }
  return (
    <div className="mt-4 flex items-center gap-2.5 border-t border-line pt-4">
      <input
        id={id}
        type="checkbox"
        checked={on}
        onChange={({ target }) => change(target.checked)}
        className="size-4 accent-(--solid)"
      />
      <label htmlFor={id} className="text-[0.8125rem]">
        Use shortcuts of single letters
      </label>
    </div>
  )
}
