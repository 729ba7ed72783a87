/** The pages about people, in the order of their tabs. */
export const peopleRooms = [
  { to: '/people', name: 'People', about: 'Who may sign in, and what they may do' },
  { to: '/people/factors', name: 'Your second factors', about: 'Apps and keys that show that it is you' },
] as const
