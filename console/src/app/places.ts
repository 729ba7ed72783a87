import {
  Bot,
  FileSearch,
  Hand,
  House,
  type LucideIcon,
  Plug,
  ScrollText,
  ShieldCheck,
  UsersRound,
  Vault,
  Workflow,
} from 'lucide-react'

type PlacePath =
  | '/'
  | '/findings'
  | '/vault'
  | '/runs'
  | '/approvals'
  | '/agents'
  | '/integrations'
  | '/audit'
  | '/policies'
  | '/people'
export type Place = { path: PlacePath; name: string; icon: LucideIcon; letter: string; about: string }

/** The rooms of the console, in the order of the story: found, kept, worked on, allowed, lent, recorded, ruled. */
export const places: readonly Place[] = [
  { path: '/', name: 'Overview', icon: House, letter: 'o', about: 'What to do next, and how Keyward is' },
  {
    path: '/findings',
    name: 'Findings',
    icon: FileSearch,
    letter: 'f',
    about: 'Secrets found where they should not be',
  },
  { path: '/vault', name: 'Vault', icon: Vault, letter: 'v', about: 'Secrets kept, by name' },
  { path: '/runs', name: 'Runs', icon: Workflow, letter: 'r', about: 'Work in progress and done' },
  { path: '/approvals', name: 'Approvals', icon: Hand, letter: 'a', about: 'What waits for your answer' },
  { path: '/agents', name: 'Agents', icon: Bot, letter: 'g', about: 'Who may borrow, and what they hold' },
  {
    path: '/integrations',
    name: 'Integrations',
    icon: Plug,
    letter: 'i',
    about: 'Services that runs work with, and where people are told',
  },
  { path: '/audit', name: 'Audit', icon: ScrollText, letter: 'u', about: 'Everything that was done' },
  { path: '/policies', name: 'Policies', icon: ShieldCheck, letter: 'p', about: 'The rules in force' },
  {
    path: '/people',
    name: 'People',
    icon: UsersRound,
    letter: 'e',
    about: 'Who may sign in, and what they may do',
  },
]

/** The place that a page belongs to. */
export const placeOf = (page: string): Place | undefined =>
  places.findLast(({ path }) => page === path || page.startsWith(`${path}/`))
