import { Dialog } from '@base-ui/react/dialog'
import { useNavigate } from '@tanstack/react-router'
import { CornerDownLeft, Keyboard, type LucideIcon, Moon, Search, Sun } from 'lucide-react'
import { type KeyboardEvent, useId, useState } from 'react'
import { placeOf, places } from './places.ts'
import { rooms } from './rooms.ts'
import { keepTheme } from './theme.ts'

type Choice = { id: string; name: string; about: string; icon: LucideIcon; act: () => void }
type Props = { open: boolean; onClose: () => void; onHelp: () => void }

export function CommandPalette({ open, onClose, onHelp }: Props) {
  return (
    <Dialog.Root open={open} onOpenChange={(next) => !next && onClose()}>
      <Dialog.Portal>
        <Dialog.Backdrop className="fixed inset-0 z-40 bg-black/35" />
        <Dialog.Popup className="appear fixed top-[14dvh] left-1/2 z-50 w-[min(34rem,calc(100vw-2rem))] -translate-x-1/2 overflow-hidden rounded-xl border border-line bg-surface shadow-2xl">
          <Dialog.Title className="sr-only">Search and commands</Dialog.Title>
          <Palette onClose={onClose} onHelp={onHelp} />
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  )
}

function useChoices(onHelp: () => void): Choice[] {
  const navigate = useNavigate()
  return [
    ...places.map(({ path, name, about, icon }) => ({
      id: path,
      name,
      about,
      icon,
      act: () => void navigate({ to: path }),
    })),
    ...rooms.flatMap(({ to, name, about }): Choice[] => {
      const place = placeOf(to)
      if (!place) return []
      const act = (): void => void navigate({ to })
      return [{ id: to, name: `${place.name}: ${name}`, about, icon: place.icon, act }]
    }),
    {
      id: 'light',
      name: 'Light appearance',
      about: 'Ink on paper',
      icon: Sun,
      act: () => keepTheme('light'),
    },
    { id: 'dark', name: 'Dark appearance', about: 'Paper on ink', icon: Moon, act: () => keepTheme('dark') },
    { id: 'help', name: 'Keyboard shortcuts', about: 'All of them on one page', icon: Keyboard, act: onHelp },
  ]
}

function Palette({ onClose, onHelp }: Omit<Props, 'open'>) {
  const [words, setWords] = useState('')
  const [at, setAt] = useState(0)
  const list = useId()
  const wanted = words.toLowerCase().trim()
  const found = useChoices(onHelp).filter(({ name, about }) =>
    `${name} ${about}`.toLowerCase().includes(wanted),
  )
  const act = (choice: Choice | undefined): void => {
    if (!choice) return
    onClose()
    choice.act()
  }
  const press = (event: KeyboardEvent): void => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key] ?? 0
    if (step !== 0 && found.length > 0) setAt((at + step + found.length) % found.length)
    else if (event.key === 'Enter') act(found[at])
    else return
    event.preventDefault()
  }
  const type = (text: string): void => {
    setWords(text)
    setAt(0)
  }
  return (
    <>
      <div className="flex items-center gap-3 border-b border-line px-4">
        <Search size={17} className="text-muted" aria-hidden="true" />
        <input
          role="combobox"
          aria-label="Where to, or what to do"
          aria-expanded="true"
          aria-controls={list}
          aria-activedescendant={found[at] ? `${list}-${found[at].id}` : undefined}
          value={words}
          onChange={({ target }) => type(target.value)}
          onKeyDown={press}
          placeholder="Where to?"
          className="h-12 flex-1 bg-transparent text-[0.9375rem] outline-none placeholder:text-muted"
        />
      </div>
      <div
        id={list}
        role="listbox"
        aria-label="Pages and commands"
        className="max-h-[50dvh] overflow-y-auto p-1.5"
      >
        {found.map((choice, place) => (
          <Option
            key={choice.id}
            id={`${list}-${choice.id}`}
            choice={choice}
            chosen={place === at}
            onAct={() => act(choice)}
          />
        ))}
      </div>
      {found.length === 0 ? <p className="px-4 pb-5 text-muted">Nothing matches “{words}”.</p> : null}
    </>
  )
}

type OptionProps = { id: string; choice: Choice; chosen: boolean; onAct: () => void }

function Option({ id, choice, chosen, onAct }: OptionProps) {
  const Icon = choice.icon
  return (
    <div
      id={id}
      role="option"
      tabIndex={-1}
      aria-selected={chosen}
      onClick={onAct}
      onKeyDown={({ key }) => key === 'Enter' && onAct()}
      className="flex h-11 items-center gap-3 rounded-lg px-3 hover:bg-hover aria-selected:bg-hover"
    >
      <Icon size={17} className="text-muted" aria-hidden="true" />
      <span className="font-medium">{choice.name}</span>
      <span className="min-w-0 flex-1 truncate text-muted">{choice.about}</span>
      {chosen ? <CornerDownLeft size={15} className="text-muted" aria-hidden="true" /> : null}
    </div>
  )
}
