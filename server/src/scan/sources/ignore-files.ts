import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import ignore, { type Ignore } from 'ignore'

/** The ignore files that hold in one folder: its own and those of the folders above it. */
export type IgnoreChain = {
  /** The chain for a folder below; `path` is relative to the root, `names` what it holds. */
  descend(path: string, names: ReadonlySet<string>): Promise<IgnoreChain>
  ignores(path: string, folder: boolean): boolean
}

type Link = { base: string; rules: Ignore; absolute: boolean }

/**
 * Files that are there to hold secrets. Version control ignores them for that very reason, so `.gitignore` does not hide
 * them from the scan; `.keywardignore` does.
 */
const secretFile =
  /^(?:\.env(?:\..{1,40})?|.{1,40}\.env|\.envrc|\.npmrc|\.yarnrc(?:\.yml)?|\.pypirc|\.netrc|_netrc|\.pgpass|\.my\.cnf|\.htpasswd|\.git-credentials|\.dockercfg|\.s3cfg|\.boto|.{1,60}\.(?:tfvars|tfstate|pem|key|p8|ppk|jks|kubeconfig)|terraform\.tfstate\.backup|kubeconfig|id_(?:rsa|dsa|ecdsa|ed25519)|credentials(?:\.(?:json|ya?ml|toml|ini))?|secrets?\.(?:json|ya?ml|toml|ini|properties)|service[-_]account.{0,40}\.json|local\.settings\.json|appsettings\..{1,30}\.json)$/i

export async function createIgnoreChain(root: string): Promise<IgnoreChain> {
  const exclude = await rulesFrom(join(root, '.git/info/exclude'))
  return chainOf(root, exclude ? [{ base: '', rules: exclude, absolute: false }] : [])
}

function chainOf(root: string, links: readonly Link[]): IgnoreChain {
  return {
    async descend(path, names) {
      const added: Link[] = []
      for (const name of ['.gitignore', '.keywardignore']) {
        const rules = names.has(name) ? await rulesFrom(join(root, path, name)) : undefined
        if (rules) added.push({ base: path, rules, absolute: name === '.keywardignore' })
      }
      return added.length > 0 ? chainOf(root, [...links, ...added]) : this
    },
    ignores(path, folder) {
      const exempt = !folder && secretFile.test(path.slice(path.lastIndexOf('/') + 1))
      let ignored = false
      for (const link of links) {
        if (exempt && !link.absolute) continue
        // The nearest file decides, as in git.
        ignored = verdictOf(link, path, folder) ?? ignored
      }
      return ignored
    },
  }
}

function verdictOf({ base, rules }: Link, path: string, folder: boolean): boolean | undefined {
  const relative = base === '' ? path : path.slice(base.length + 1)
  const { ignored, unignored } = rules.test(folder ? `${relative}/` : relative)
  if (ignored) return true
  return unignored ? false : undefined
}

async function rulesFrom(file: string): Promise<Ignore | undefined> {
  try {
    return ignore({ ignorecase: false, allowRelativePaths: true }).add(await readFile(file, 'utf8'))
  } catch {
    // Absent, or unreadable: then it hides nothing, and the walk reports the file itself as unreadable.
    return
  }
}
