################################################################################
#
# ivt-agent
#
################################################################################

IVT_AGENT_VERSION = 0.1.0
IVT_AGENT_SOURCE = ivt-agent-$(IVT_AGENT_VERSION).tar.gz
IVT_AGENT_SITE = $(or $(call qstrip,$(BR2_PACKAGE_IVT_AGENT_SITE)),file://$(BR2_EXTERNAL_IVT_PATH)/../../target/packaging)
IVT_AGENT_LICENSE = MIT or Apache-2.0
IVT_AGENT_LICENSE_FILES = LICENSE-MIT LICENSE-APACHE
# The archive has the folder VENDOR, so that cargo-package fetches nothing.
IVT_AGENT_SUBDIR = agent

ifeq ($(BR2_PACKAGE_IVT_AGENT_SMALL),y)
IVT_AGENT_FEATURES = --no-default-features
endif
IVT_AGENT_CARGO_BUILD_OPTS = --bin ivt-agent $(IVT_AGENT_FEATURES)
IVT_AGENT_CARGO_INSTALL_OPTS = $(IVT_AGENT_FEATURES)

IVT_AGENT_PRODUCT = $(call qstrip,$(BR2_PACKAGE_IVT_AGENT_PRODUCT))
IVT_AGENT_DATA = $(call qstrip,$(BR2_PACKAGE_IVT_AGENT_DATA))

# The numbers are fixed, since the data partition outlasts the image.
define IVT_AGENT_USERS
	ivt 820 ivt 820 * - - - IVT agent
endef

ifneq ($(IVT_AGENT_PRODUCT),)
define IVT_AGENT_INSTALL_PRODUCT
	$(INSTALL) -D -m 0640 $(@D)/configs/base.toml $(TARGET_DIR)/etc/ivt/base.toml
	$(INSTALL) -D -m 0640 $(@D)/configs/products/$(IVT_AGENT_PRODUCT).toml $(TARGET_DIR)/etc/ivt/products/$(IVT_AGENT_PRODUCT).toml
	$(SED) 's,"/data/ivt/,"$(IVT_AGENT_DATA)/,' $(TARGET_DIR)/etc/ivt/products/$(IVT_AGENT_PRODUCT).toml
	printf 'base = "products/%s.toml"\n' "$(IVT_AGENT_PRODUCT)" >$(TARGET_DIR)/etc/ivt/agent.toml
	chmod 0640 $(TARGET_DIR)/etc/ivt/agent.toml
endef
IVT_AGENT_POST_INSTALL_TARGET_HOOKS += IVT_AGENT_INSTALL_PRODUCT

define IVT_AGENT_PERMISSIONS
	/etc/ivt d 750 0 820 - - - - -
	/etc/ivt/products d 750 0 820 - - - - -
	/etc/ivt/base.toml f 640 0 820 - - - - -
	/etc/ivt/products/$(IVT_AGENT_PRODUCT).toml f 640 0 820 - - - - -
	/etc/ivt/agent.toml f 640 0 820 - - - - -
endef
endif

# Both inits find the folder on the data partition; the unit gets it by a drop-in, as its file system is read-only else.
define IVT_AGENT_INSTALL_INIT_SYSV
	$(INSTALL) -D -m 0755 $(@D)/packaging/init/ivt-agent.init $(TARGET_DIR)/etc/init.d/S95ivt-agent
	mkdir -p $(TARGET_DIR)/etc/default
	printf 'DATA=%s\nSTATE_DIRECTORY=%s/state\n' "$(IVT_AGENT_DATA)" "$(IVT_AGENT_DATA)" >$(TARGET_DIR)/etc/default/ivt-agent
endef

define IVT_AGENT_INSTALL_INIT_SYSTEMD
	$(INSTALL) -D -m 0644 $(@D)/packaging/init/ivt-agent.service $(TARGET_DIR)/usr/lib/systemd/system/ivt-agent.service
	mkdir -p $(TARGET_DIR)/usr/lib/systemd/system/ivt-agent.service.d $(TARGET_DIR)/usr/lib/tmpfiles.d
	printf '[Service]\nReadWritePaths=%s\n' "$(IVT_AGENT_DATA)" >$(TARGET_DIR)/usr/lib/systemd/system/ivt-agent.service.d/data.conf
	printf 'd %s 0700 ivt ivt -\n' "$(IVT_AGENT_DATA)" >$(TARGET_DIR)/usr/lib/tmpfiles.d/ivt-agent.conf
endef

$(eval $(cargo-package))
