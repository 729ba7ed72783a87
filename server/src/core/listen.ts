import { AppError } from './errors.ts'

/** `host:port` or `[address]:port`; `setting` is where it was written. Throws `request.invalid`. */
export function parseListen(text: string, setting: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (!match || port > 65_535) throw new AppError('request.invalid', `${setting} ${text} is not host:port`)
  return { host: match[1] ?? match[2] ?? '', port }
}
