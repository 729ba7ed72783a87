import { type Role, roles } from './roles.ts'

type Props = { chosen: readonly Role[]; onChange: (chosen: Role[]) => void; error?: string | undefined }

export function RoleChoice({ chosen, onChange, error }: Props) {
  return (
    <fieldset>
      <legend className="mb-1.5 text-[0.8125rem] font-medium">Roles</legend>
      <div className="flex flex-col gap-1">
        {roles.map(([role, about]) => (
          <label
            key={role}
            className="flex cursor-pointer items-start gap-2.5 rounded-md px-1 py-1 hover:bg-hover"
          >
            <input
              type="checkbox"
              className="mt-1 accent-[var(--brass)]"
              checked={chosen.includes(role)}
              onChange={({ target }) =>
                onChange(target.checked ? [...chosen, role] : chosen.filter((other) => other !== role))
              }
            />
            <span>
              <span className="font-medium">{role}</span>
              <span className="block text-xs text-muted">{about}</span>
            </span>
          </label>
        ))}
      </div>
      {error ? (
        <p role="alert" className="mt-1 text-xs font-medium text-bad">
          {error}
        </p>
      ) : null}
    </fieldset>
  )
}
