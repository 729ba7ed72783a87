/** The pages about work, in the order of their tabs. */
export const runRooms = [
  { to: '/runs', name: 'Runs', about: 'Work in progress and done' },
  { to: '/runs/goals', name: 'Goals', about: 'Say what you want, see the plan, then start it' },
] as const
