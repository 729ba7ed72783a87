/** The pages about other services, in the order of their tabs. */
export const integrationRooms = [
  { to: '/integrations', name: 'Connections', about: 'Services that runs work with' },
  { to: '/integrations/channels', name: 'Channels', about: 'Where people are told what happens' },
] as const
