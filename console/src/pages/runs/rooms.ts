/** The pages about work, in the order of their tabs. */
export const runRooms = [
  { to: '/runs', name: 'Runs', about: 'Work in progress and done' },
  { to: '/runs/goals', name: 'Goals', about: 'Say what you want, see the plan, then start it' },
  { to: '/runs/schedules', name: 'Schedules', about: 'Flows that are started by the clock' },
] as const
