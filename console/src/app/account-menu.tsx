import { Menu } from '@base-ui/react/menu'
import { api } from '@keyward/contract'
import { useMutation, useQuery } from '@tanstack/react-query'
import { Check, CircleUser, LogOut, Monitor, Moon, Sun } from 'lucide-react'
import { useState } from 'react'
import { call, problemOf } from '../api/index.ts'
import { sessionQuery } from '../api/queries.ts'
import { announce } from '../ui/announcer.tsx'
import { keepTheme, readTheme, type Theme, themes } from './theme.ts'

const looks = {
  light: { icon: Sun, text: 'Light' },
  dark: { icon: Moon, text: 'Dark' },
  system: { icon: Monitor, text: 'As the system' },
} as const

const item =
  'flex h-9 cursor-default items-center gap-2.5 rounded-md px-2.5 outline-none data-[highlighted]:bg-hover'

export function AccountMenu() {
  const { data: session } = useQuery(sessionQuery)
  const signOut = useSignOut()
  return (
    <Menu.Root>
      <Menu.Trigger
        aria-label={`Account${session ? ` of ${session.name}` : ''} and appearance`}
        className="inline-flex size-8 items-center justify-center rounded-md text-muted hover:bg-hover hover:text-ink"
      >
        <CircleUser size={18} aria-hidden="true" />
      </Menu.Trigger>
      <Menu.Portal>
        <Menu.Positioner sideOffset={6} align="end" className="z-50">
          <Menu.Popup className="appear w-60 rounded-xl border border-line bg-surface p-1.5 shadow-xl outline-none">
            {session ? (
              <div className="px-2.5 pt-1.5 pb-2.5">
                <p className="truncate font-medium">{session.name}</p>
                <p className="truncate text-xs text-muted">{session.roles.join(', ')}</p>
              </div>
            ) : null}
            <ThemeChoice />
            <Menu.Separator className="my-1.5 h-px bg-line" />
            <Menu.Item className={item} onClick={() => signOut.mutate()}>
              <LogOut size={16} aria-hidden="true" />
              Sign out
            </Menu.Item>
          </Menu.Popup>
        </Menu.Positioner>
      </Menu.Portal>
    </Menu.Root>
  )
}

function ThemeChoice() {
  const [theme, setTheme] = useState<Theme>(readTheme)
  const choose = (value: unknown): void => {
    const chosen = themes.find((name) => name === value)
    if (!chosen) return
    keepTheme(chosen)
    setTheme(chosen)
  }
  return (
    <Menu.Group>
      <Menu.GroupLabel className="px-2.5 py-1 text-xs text-muted">Appearance</Menu.GroupLabel>
      <Menu.RadioGroup value={theme} onValueChange={choose}>
        {themes.map((name) => {
          const { icon: Icon, text } = looks[name]
          return (
            <Menu.RadioItem key={name} value={name} className={item} closeOnClick={false}>
              <Icon size={16} aria-hidden="true" />
              <span className="flex-1">{text}</span>
              <Menu.RadioItemIndicator>
                <Check size={15} aria-hidden="true" />
              </Menu.RadioItemIndicator>
            </Menu.RadioItem>
          )
        })}
      </Menu.RadioGroup>
    </Menu.Group>
  )
}

/** Leaves by loading the page anew: nothing that was read before stays in memory. */
function useSignOut() {
  return useMutation({
    mutationFn: () => call(api.session.end, {}),
    onSuccess: () => window.location.replace('/'),
    onError: (error) => announce(problemOf(error).title),
  })
}
